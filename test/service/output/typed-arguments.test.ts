import { assert, describe, it } from "@effect/vitest";

import { typedArguments } from "../../../src/service/output/typed-arguments.ts";

const schema = (properties: Readonly<Record<string, unknown>>, more: Readonly<Record<string, unknown>> = {}) => ({
  type: "object",
  properties,
  ...more,
});
const typed = (value: string, of: unknown): unknown =>
  JSON.parse(typedArguments([["key", value]], schema({ key: of })));

describe("typedArguments", () => {
  it.each([
    ["5", { type: "integer" }, 5],
    ["5", { type: "number" }, 5],
    ["5", { type: "string" }, "5"],
    ["5", {}, 5],
    ["five", {}, "five"],
    ["True", { type: "boolean" }, true],
    ["None", { type: ["string", "null"] }, null],
    ["true", { type: "string" }, "true"],
    ['["a"]', { type: "array" }, ["a"]],
    ['["a"]', { type: "string" }, '["a"]'],
    ["5", { enum: ["5", "6"] }, "5"],
    ["5", { const: 5 }, 5],
    ["5", { anyOf: [{ type: "string" }, { type: "null" }] }, "5"],
  ])("reads %j by the type %j", (value, of, expected) => {
    assert.deepEqual(typed(value, of), { key: expected });
  });

  it("takes one line break on each side for the tags', and no more", () => {
    assert.deepEqual(typed("\n\na\n\n", { type: "string" }), { key: "\na\n" });
  });

  it("finds a type behind a reference", () => {
    const parameters = schema({ key: { $ref: "#/$defs/name" } }, { $defs: { name: { type: "string" } } });
    assert.deepEqual(JSON.parse(typedArguments([["key", "1"]], parameters)), { key: "1" });
  });

  it("ends where a schema refers to itself", () => {
    const parameters = schema({ key: { $ref: "#/$defs/loop" } }, { $defs: { loop: { $ref: "#/$defs/loop" } } });
    assert.deepEqual(JSON.parse(typedArguments([["key", "1"]], parameters)), { key: 1 });
  });

  it("keeps the order of the arguments, and any value without a schema", () => {
    assert.strictEqual(
      typedArguments(
        [
          ["b", "1"],
          ["a", "x"],
        ],
        undefined,
      ),
      '{"b": 1, "a": "x"}',
    );
  });
});
