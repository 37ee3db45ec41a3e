import fc from "fast-check";
import { assert, describe, it } from "vitest";
import { parsePartialJson } from "../../../src/client/objects/partial-json.ts";

describe("JSON as far as it has come", () => {
  it.each<[string, unknown]>([
    ["", undefined],
    ["  ", undefined],
    ["{", {}],
    ['{"a', {}],
    ['{"a"', {}],
    ['{"a":', {}],
    ['{"a":1', {}],
    ['{"a":1,', { a: 1 }],
    ['{"a":tru', {}],
    ['{"a":true', { a: true }],
    ['{"a":nul', {}],
    ['{"a":"he', { a: "he" }],
    ['{"a":"he\\', { a: "he" }],
    ['{"a":"he\\u00e', { a: "he" }],
    ['{"a":"\\ud83c', { a: "" }],
    ['{"a":"\\ud83c\\udf4', { a: "" }],
    ['{"a":"\\ud83c\\udf4f', { a: "🍏" }],
    ['{"a":"x\\\\', { a: "x\\" }],
    ['{"a":["b", {"c":"d', { a: ["b", { c: "d" }] }],
    ['{"a":{}, "b":[1, 2', { a: {}, b: [1] }],
    ["[1, 2.5, -3e", [1, 2.5]],
    ['"text', "text"],
    ["12", undefined],
    ["12 ", 12],
    // What cannot become JSON.
    ["no JSON", undefined],
    ['{"a":1 "b":2}', { a: 1 }],
    ['{"a":{} x', { a: {} }],
    ['{"a":[1 x], "b":2}', { a: [1] }],
    ['{"a":"\\x"}', { a: "" }],
  ])("%s", (text, value) => assert.deepEqual(parsePartialJson(text), value));

  it("is the whole value in the end, and nothing of it ever goes back", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 4 }), (json) => {
        const whole: unknown = JSON.parse(json);
        if (typeof whole === "object") assert.deepEqual(parsePartialJson(json), whole);
        for (let length = 0; length <= json.length; length++)
          assertBegins(parsePartialJson(json.slice(0, length)), whole);
      }),
    );
  });

  it("takes a member __proto__ as JSON does, and keeps out of prototypes", () => {
    const value = parsePartialJson('{"__proto__":{"a":1},');
    assert.deepEqual(Object.keys(value as object), ["__proto__"]);
    assert.notProperty({}, "a");
  });

  it("shows nothing of what is nested so deep that reading it would overflow", () => {
    assert.doesNotThrow(() => parsePartialJson("[".repeat(1_000_000)));
  });
});

/** Whether the first is a beginning of the second. */
const assertBegins = (part: unknown, whole: unknown): void => {
  if (part === undefined) return;
  if (typeof part === "string") return assert.isTrue(String(whole).startsWith(part));
  if (typeof part !== "object" || part === null) return assert.deepEqual(part, whole);
  assert.typeOf(whole, Array.isArray(part) ? "array" : "object");
  for (const [key, value] of Object.entries(part)) assertBegins(value, (whole as Record<string, unknown>)[key]);
};
