import { assert, describe, it } from "vitest";
import { constraintSchema } from "../../../src/client/objects/constraint-schema.ts";
import type { JsonSchema } from "../../../src/client/index.ts";

describe("the part of a schema that the service can hold an output to", () => {
  it.each<[string, JsonSchema, JsonSchema]>([
    ["keeps what a grammar says", { type: "integer", minimum: 1.5 }, { type: "integer", minimum: 1.5 }],
    ["leaves out what none says", { type: "number", multipleOf: 5 }, { type: "number" }],
    ["leaves it out further down", { properties: { a: { not: {} } } }, { properties: { a: {} } }],
    ["keeps members that are called like keywords", { properties: { not: true } }, { properties: { not: true } }],
    ["keeps unknown keywords, for the service to refuse", { minimun: 5 }, { minimun: 5 }],
    ["keeps one rule for strings", { type: "string", pattern: "^a", minLength: 2 }, { type: "string", pattern: "^a" }],
    ["keeps a known format", { format: "date", pattern: "^2", minLength: 1 }, { format: "date" }],
    [
      "keeps the pattern of a whole string rather than its format, which may be looser",
      { format: "date-time", pattern: "^\\d{4}T\\d\\dZ$", minLength: 1 },
      { pattern: "^\\d{4}T\\d\\dZ$" },
    ],
    [
      "keeps a known format where the pattern is beyond grammars",
      { format: "uuid", pattern: "^(?!0)\\w$" },
      { format: "uuid" },
    ],
    ["leaves out another", { type: "string", format: "email", maxLength: 9 }, { type: "string", maxLength: 9 }],
    ["leaves out patterns beyond grammars", { pattern: "^(?!x)\\w+$", maxLength: 4 }, { maxLength: 4 }],
    [
      "widens bounds to whole ones",
      { type: "number", exclusiveMinimum: 0.5, maximum: 2.5 },
      { type: "number", minimum: 0, maximum: 3 },
    ],
    ["takes one of several as any of them", { oneOf: [{ type: "null" }] }, { anyOf: [{ type: "null" }] }],
    ["keeps values alone", { enum: ["a"], pattern: "a" }, { enum: ["a"] }],
    [
      "takes a record of listed names as an object with these members",
      { propertyNames: { enum: ["a"] }, additionalProperties: { type: "null", not: {} }, required: ["a"] },
      { properties: { a: { type: "null" } }, additionalProperties: false, required: ["a"] },
    ],
    [
      "takes a record of one name so, too",
      { propertyNames: { const: "a" } },
      { properties: { a: true }, additionalProperties: false },
    ],
    [
      "leaves out names of another form",
      { propertyNames: { pattern: "^a" }, additionalProperties: { type: "null" } },
      { additionalProperties: { type: "null" } },
    ],
    ["lets members by pattern through", { patternProperties: { "^x": {} }, additionalProperties: false }, {}],
  ])("%s", (_, schema, kept) => assert.deepEqual(constraintSchema(schema), kept));
});
