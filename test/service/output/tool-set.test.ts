import { assert, describe, it } from "@effect/vitest";

import { createToolSet } from "../../../src/service/output/tool-set.ts";
import { cpuMs } from "../../support/cpu-ms.ts";

const toolSet = (parameters?: Record<string, unknown>) => createToolSet([{ name: "f", description: "", parameters }]);
const kindOf = (parameters: Record<string, unknown> | undefined, argumentsText: string, name = "f") =>
  toolSet(parameters).problem(name, argumentsText)?.kind;

describe("a call", () => {
  const schema = { type: "object", properties: { n: { type: "integer", minimum: 1 } }, required: ["n"] };

  it("is checked against the tool's schema", () => {
    assert.isUndefined(kindOf(schema, '{"n": 2, "more": true}'));
    for (const text of ["{}", '{"n": 0}', '{"n": 1.5}', '{"n": "1"}', "[]", "1", "null"]) {
      assert.strictEqual(kindOf(schema, text), "invalid-arguments", text);
    }
    assert.match(toolSet(schema).problem("f", "{}")?.message ?? "", /"f".*"n"/);
  });

  it("of a tool without a schema takes any object", () => {
    assert.isUndefined(kindOf(undefined, '{"a": [1]}'));
    assert.strictEqual(kindOf(undefined, "[]"), "invalid-arguments");
  });

  it("that is no JSON, or of no such tool, is told apart", () => {
    assert.strictEqual(kindOf(schema, "{n: 1}"), "malformed-tool-call");
    assert.strictEqual(kindOf(schema, '{"n": 1}', "g"), "unknown-tool");
  });

  it("is not checked by regular expressions of the caller's", () => {
    const slow = { type: "object", properties: { s: { type: "string", pattern: "^(a+)+$" } } };
    assert.isUndefined(kindOf(slow, JSON.stringify({ s: `${"a".repeat(60)}!` })));
    const named = { patternProperties: { "^x": { type: "number" } }, additionalProperties: false };
    assert.isUndefined(kindOf(named, '{"x1": 1}'));
  });

  it("may have a property that is called like a keyword", () => {
    const search = { type: "object", properties: { pattern: { type: "string" } }, required: ["pattern"] };
    assert.strictEqual(kindOf(search, '{"pattern": 1}'), "invalid-arguments");
    assert.isUndefined(kindOf(search, '{"pattern": "(a+)+"}'));
  });
});

describe("arguments without end", () => {
  const nested = (depth: number) => `{"a": ${"[".repeat(depth)}${"]".repeat(depth)}}`;

  it("nested by the thousand are a malformed call", () => {
    for (const depth of [200, 100_000])
      assert.strictEqual(kindOf({}, nested(depth)), "malformed-tool-call", `${depth}`);
    assert.isUndefined(kindOf({}, nested(100)));
  });

  it("are checked in bounded time, whatever the schema makes of them", () => {
    const twice = { properties: { a: { $ref: "#/$defs/a" } } };
    const doubling = {
      type: "object",
      $defs: { a: { anyOf: [twice, { ...twice, minProperties: 9 }] } },
      $ref: "#/$defs/a",
    };
    const deep = `${'{"a":'.repeat(100)}{}${"}".repeat(100)}`;
    const items = {
      properties: { a: { uniqueItems: true, items: { enum: Array.from({ length: 20_000 }, (_, i) => i) } } },
    };
    const many = JSON.stringify({ a: Array.from({ length: 20_000 }, (_, index) => index) });
    const took = cpuMs(() => {
      assert.isUndefined(kindOf(doubling, deep));
      assert.match(toolSet(items).problem("f", many)?.message ?? "", /takes too long/);
    });
    assert.isBelow(took, 2000);
  });
});
