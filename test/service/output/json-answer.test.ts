import { assert, describe, it } from "vitest";

import { createJsonCheck, type JsonConstraint } from "../../../src/service/output/json-answer.ts";

const schema = {
  type: "object",
  properties: { city: { type: "string" }, count: { type: "integer", minimum: 1 } },
  required: ["city"],
  additionalProperties: false,
};

const check = (
  answer: string,
  constraint: JsonConstraint = { type: "json-schema", schema: JSON.stringify(schema) },
) => {
  const made = createJsonCheck(constraint);
  assert.isFunction(made, JSON.stringify(made));
  return typeof made === "function" ? made(answer) : assert.fail();
};

const refusalOf = (text: string) => {
  const made = createJsonCheck({ type: "json-schema", schema: text });
  return "refused" in made ? made.refused : undefined;
};

describe("JSON in an answer", () => {
  it.each([
    ["alone", '{"city": "Rome"}'],
    ["between spaces", '\n {"city": "Rome"} \n'],
    ["in a fence", '```json\n{"city": "Rome"}\n```'],
    ["in a fence amid text", 'Here it is:\n\n```\n{"city": "Rome"}\n```\nIs that all right?'],
    ["amid text", 'The answer is {"city": "Rome"}, as you see.'],
    ["behind another bracket", 'As [1] says, and {not this}: {"city": "Rome"}'],
    ["behind JSON that does not fit", '{"town": 1} or rather {"city": "Rome"}'],
  ])("is found %s, and given as it was written", (_, answer) => {
    assert.deepStrictEqual(check(answer), { json: '{"city": "Rome"}' });
  });

  it.each([
    ["", "it holds no JSON"],
    ["Rome", "it holds no JSON"],
    ['{"city": "Ro', "it holds no JSON"],
    ['{"count": 1}', "city"],
    ['{"city": "Rome", "count": 0}', "#/count"],
    ['{"city": "Rome", "mayor": "x"}', "mayor"],
  ])("is missing or wrong in %j", (answer, problem) => {
    const found = check(answer);
    assert.include("problem" in found ? found.problem : JSON.stringify(found), problem);
  });

  it("is an object where one is asked for, and may be anything that a schema allows", () => {
    assert.deepStrictEqual(check("[1]", { type: "json-object" }), { problem: "#: it is no object" });
    assert.deepStrictEqual(check('{"a": [1]}', { type: "json-object" }), { json: '{"a": [1]}' });
    assert.deepStrictEqual(check("Well: [1, 2]", { type: "json-schema", schema: '{"type":"array"}' }), {
      json: "[1, 2]",
    });
    assert.deepStrictEqual(check(" 7", { type: "json-schema", schema: '{"type":"integer"}' }), { json: "7" });
  });

  it("is bounded: in length, in depth, and in what is tried", () => {
    assert.deepInclude(check("x".repeat(1024 ** 2 + 1)), { problem: "it is longer than 1048576 characters" });
    const deep = `${'{"a":'.repeat(200)}1${"}".repeat(200)}`;
    assert.deepInclude(check(deep, { type: "json-object" }), { problem: "it is nested more than 128 deep" });
    assert.deepInclude(check("{".repeat(1024 ** 2)), { problem: "it holds no JSON" });
    assert.deepInclude(check("```\n".repeat(200_001)), { problem: "it holds no JSON" });
  });

  it("is checked no longer when one value has taken too long", () => {
    const items = { anyOf: [{ type: "string" }, { type: "boolean" }, { type: "number" }] };
    const constraint = { type: "json-schema", schema: JSON.stringify({ type: "array", items }) } as const;
    const heavy = `[${"1,".repeat(70_000)}1]`;
    const found = check(`${heavy} or ${heavy} or ["short"]`, constraint);
    assert.deepStrictEqual(found, { problem: "checking them takes too long" });
  });

  it("is looked for in twice the length of the longest answer at most", () => {
    // Each beginning is read to the end of the answer, where none of them ends.
    const begun = `${"[".repeat(3)}${" ".repeat(1024 ** 2 - 20)}`;
    assert.deepStrictEqual(check(`${begun}{"city": "Rome"}`), { problem: "it holds no JSON" });
    assert.deepStrictEqual(check(`${begun.slice(2)}{"city": "Rome"}`), { json: '{"city": "Rome"}' });
  });

  it("is not promised by a schema that cannot be checked", () => {
    assert.strictEqual(refusalOf("{"), "it is no JSON");
    assert.strictEqual(refusalOf("[]"), "it is to be a JSON object");
    assert.include(refusalOf('{"type": "text"}'), "#/type");
    assert.include(refusalOf('{"properties": {"zip": {"pattern": "^[0-9]+$"}}}'), '"pattern"');
    assert.include(refusalOf('{"patternProperties": {"^a": {}}}'), '"patternProperties"');
    assert.isUndefined(refusalOf('{"properties": {"pattern": {"type": "string"}}}'));
  });
});
