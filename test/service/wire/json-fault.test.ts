import { fromJsonString } from "@bufbuild/protobuf";
import { assert as assertProperty, json, property, string } from "fast-check";
import { assert, describe, it } from "vitest";

import { GenerateRequestSchema } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { GetLoadRequestSchema } from "../../../src/client/gen/mlxd/v1/server_service_pb.ts";
import { jsonFault } from "../../../src/service/wire/json-fault.ts";
import { scanJson } from "../../../src/service/wire/json-scan.ts";

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe("scanJson", () => {
  it("takes what JSON.parse takes", () => {
    assertProperty(property(json(), (text) => scanJson(text) === undefined));
  });

  it("refuses what JSON.parse refuses", () => {
    assertProperty(property(string(), (text) => (scanJson(text) === undefined) === isJson(text)));
    assertProperty(
      property(json(), string({ maxLength: 2 }), (text, extra) => {
        for (const at of [0, Math.trunc(text.length / 2), text.length]) {
          const changed = text.slice(0, at) + extra + text.slice(at);
          const fault = scanJson(changed);
          if (fault?.description === "it is there twice") continue;
          if ((fault === undefined) !== isJson(changed)) return false;
        }
        return true;
      }),
    );
  });

  it.each([
    ['"a\\x"', "a text has a backslash that escapes nothing, at line 1, column 3"],
    ['"a\nb"', "a text has a line end or control character, which must be escaped, at line 1, column 3"],
    ['"a', "it ends too early, at line 1, column 3"],
    ["{a:1}", "a name in quotes is missing, at line 1, column 2"],
    ['{"a" 1}', "a colon is missing, at line 1, column 6"],
    ["[1 2]", 'a comma or "]" is missing, at line 1, column 4'],
    ["01", "there is something behind the end of the JSON, at line 1, column 2"],
  ])("tells what is wrong with %s", (text, what) => {
    assert.strictEqual(scanJson(text)?.description, `the request is not JSON: ${what}`);
  });
});

describe("jsonFault", () => {
  it("says so where a message has no fields at all", () => {
    const fault = jsonFault(GetLoadRequestSchema, '{"model":"demo"}');
    assert.deepStrictEqual(fault, { field: "model", description: "there is no such field; there are none" });
  });

  it("finds a fault wherever the library does", () => {
    const texts = [
      '{"task":{"tokens":{"ids":[1,2,-3]}}}',
      '{"task":{"chat":{"messages":[{"role":9.5}]}}}',
      '{"task":{"chat":{"templateOptions":7}}}',
      '{"task":{"labels":[]}}',
      '{"task":{"sampling":{"logitBias":[{},null]}}}',
    ];
    for (const text of texts) {
      assert.throws(() => fromJsonString(GenerateRequestSchema, text));
      assert.isDefined(jsonFault(GenerateRequestSchema, text), text);
    }
    assert.strictEqual(jsonFault(GenerateRequestSchema, texts[0] ?? "")?.field, "task.tokens.ids[2]");
  });
});
