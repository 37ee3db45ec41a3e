import { assert, describe, it } from "@effect/vitest";

import { createToolSet, schemaProblem } from "../../../src/service/output/tool-set.ts";

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

describe("a schema", () => {
  it("that cannot be used is told before it is", () => {
    assert.isUndefined(schemaProblem(undefined));
    assert.isUndefined(schemaProblem({ $defs: { a: { type: "string" } }, properties: { a: { $ref: "#/$defs/a" } } }));
    assert.match(schemaProblem({ $ref: "#/$defs/none" }) ?? "", /\$defs\/none/);
    assert.match(schemaProblem({ $ref: "#" }) ?? "", /without end/);
  });
});
