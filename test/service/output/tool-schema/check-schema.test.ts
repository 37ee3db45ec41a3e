import { assert, describe, it } from "@effect/vitest";

import { checkSchema } from "../../../../src/service/output/tool-schema/check-schema.ts";
import { toolProblems } from "../../../../src/service/output/tool-schema/tool-problems.ts";
import { cpuMs } from "../../../support/cpu-ms.ts";

const refusal = (schema: Record<string, unknown>): string => {
  const problem = checkSchema(schema);
  return problem === undefined ? "" : `${problem.where} ${problem.reason}`;
};
const property = (a: unknown) => ({ type: "object", properties: { a } });

describe("a schema that can be used", () => {
  it("passes, whatever else stands in it", () => {
    const usable = [
      {},
      { type: ["object", "null"], description: "d", title: "t", "x-own": { type: "any" }, example: { type: 1 } },
      property({ $ref: "#/$defs/한국어", $defs: {} }),
      property({ $ref: "#/$defs/%ED%95%9C%EA%B5%AD%EC%96%B4" }),
      property({ $ref: "#anchor" }),
      property({ $ref: "#" }),
      property({ $ref: "#/definitions/a~1b" }),
      property({ type: "string", pattern: "^[\\w\\-\\.@]+$", format: "of-our-own", default: { type: "any" } }),
      property({ items: [{ type: "string" }], additionalItems: false, dependencies: { b: ["c"] } }),
      property({ enum: [{ type: "any" }, null], const: { $ref: "#/nowhere" } }),
      { $id: "https://example.org/tool", ...property({ $ref: "https://example.org/tool#/$defs/한국어" }) },
      { anyOf: [{ type: "array" }, property(true)] },
    ];
    const more = { $defs: { 한국어: { type: "string" }, b: { $anchor: "anchor" } }, definitions: { "a/b": true } };
    for (const schema of usable) assert.strictEqual(refusal({ ...schema, ...more }), "", JSON.stringify(schema));
  });
});

describe("a schema that cannot be used", () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    [
      "a reference that leads nowhere",
      property({ $ref: "#/$defs/Expression" }),
      /^#\/properties\/a\/\$ref leads to "#\/\$defs\/Expression", which is not there/,
    ],
    [
      "one in a definition that nothing uses",
      { $defs: { x: { items: { $ref: "#/gone" } } } },
      /\$defs\/x\/items\/\$ref/,
    ],
    ["one behind another", { ...property({ $ref: "#/x" }), x: { not: { $ref: "#none" } } }, /#\/x\/not\/\$ref/],
    ["one to elsewhere", property({ $ref: "https://json-schema.org/draft/2020-12/schema" }), /only references within/],
    ["one to no schema", { ...property({ $ref: "#/title" }), title: "t" }, /#\/title must be a schema/],
    [
      "a type that is none",
      property({ type: "any" }),
      /#\/properties\/a\/type "any" is no type; must be one of object, array/,
    ],
    [
      "a type of another language",
      property({ items: { type: "float" } }),
      /items\/type "float" is no type; use "number"/,
    ],
    [
      "one among several",
      property({ anyOf: [{ type: ["string", "dict"] }] }),
      /anyOf\/0\/type "dict" is no type; use "object"/,
    ],
    ["a type of no word", property({ type: null }), /null is no type/],
    ["no type at all", property({ type: [] }), /must name a type/],
    ["a top level that is no object", { type: "array" }, /^# must take an object/],
    ["one through a reference", { $ref: "#/$defs/a", $defs: { a: { type: "string" } } }, /^# must take an object/],
    ["one of values", { enum: ["a", 1] }, /^# must take an object/],
    ["one of alternatives", { oneOf: [{ type: "string" }, { const: 1 }] }, /^# must take an object/],
    ["references in a ring", { $ref: "#" }, /# refers to itself without end/],
    [
      "a longer ring",
      {
        ...property({ $ref: "#/$defs/a" }),
        $defs: { a: { allOf: [{ $ref: "#/$defs/b" }] }, b: { not: { $ref: "#/$defs/a" } } },
      },
      /without end/,
    ],
    ["a pattern that does not compile", property({ pattern: "(a" }), /"\(a" is no regular expression/],
    ["a pattern of names that does not", { patternProperties: { "[": true } }, /"\[" is no regular expression/],
    ["properties that are none", { properties: ["a"] }, /properties must hold schemas by name/],
    ["a property that is no schema", property("string"), /#\/properties\/a must be a schema/],
    ["required that is no list", { required: "a" }, /required must be an array of names/],
    ["an enum that is none", property({ enum: "a" }), /enum must be an array/],
    ["a bound of no number", property({ minimum: "1" }), /minimum must be a number/],
    ["a count below 0", property({ minItems: -1 }), /minItems must be a whole number/],
    [
      "a reference that nothing here follows",
      property({ $dynamicRef: "#a" }),
      /\$dynamicRef is not supported; use \$ref/,
    ],
    ["an id within", property({ $id: "x" }), /at the root of a schema only/],
  ])("%s", (_, schema, expected) => assert.match(refusal(schema), expected));

  it("nested too deep, or too large", () => {
    let deep: Record<string, unknown> = {};
    for (let depth = 0; depth < 100; depth++) deep = property(deep);
    assert.match(refusal(deep), /nested more than 64 deep/);
    let data: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) data = [data];
    assert.match(refusal(property({ default: data })), /nested more than 256 deep/);
    assert.match(refusal(property({ enum: Array.from({ length: 70_000 }, (_, i) => i) })), /more than 65536 values/);
  });

  it("whose definitions double, without trying", () => {
    const $defs: Record<string, unknown> = { d40: { type: "object" } };
    for (let i = 0; i < 40; i++)
      $defs[`d${i}`] = { allOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] };
    const took = cpuMs(() => {
      assert.match(
        refusal({ ...property({ $ref: "#/$defs/d0" }), $defs }),
        /applies more than 10000 schemas to one value/,
      );
    });
    assert.isBelow(took, 1000);
  });
});

describe("tools", () => {
  const tool = (name: string, parameters?: Record<string, unknown>) => ({ name, description: "", parameters });

  it("of one name are refused", () => {
    assert.deepStrictEqual(toolProblems([tool("a"), tool("b"), tool("a")]), [
      { field: "[2].name", description: '"a" is the name of tools[0] already' },
    ]);
  });

  it("are bounded together", () => {
    const values = { type: "object", properties: { a: { enum: Array.from({ length: 700 }, (_, index) => index) } } };
    const tools = Array.from({ length: 128 }, (_, index) => tool(`t${index}`, values));
    assert.deepStrictEqual(toolProblems(tools.slice(0, 90)), []);
    assert.match(toolProblems(tools)[0]?.description ?? "", /more than 65536 JSON values/);
  });
});
