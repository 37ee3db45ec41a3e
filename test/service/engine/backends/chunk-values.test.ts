import { assert, it } from "vitest";

import { asObject, countOf, jsonOf, parseChunk, textOf } from "../../../../src/service/engine/backends/chunk-values.ts";
import { AnswerUnreadable } from "../../../../src/service/engine/backends/problems.ts";

it("a chunk is a JSON object, and its values are taken where they are what they should be", () => {
  assert.deepStrictEqual(parseChunk('{"a": 1}'), { a: 1 });
  for (const data of ["", "{", "7", "[]", "null"]) assert.throws(() => parseChunk(data), AnswerUnreadable);
  assert.isUndefined(asObject([]));
  assert.deepStrictEqual([textOf("a"), textOf(7), textOf(null)], ["a", "", ""]);
  assert.deepStrictEqual([countOf(7), countOf(0)], [7, 0]);
  for (const value of [-1, 1.5, 2 ** 32, "7", null, Number.NaN]) assert.isUndefined(countOf(value));
  assert.strictEqual(jsonOf({ a: [1] }), '{"a":[1]}');
  const deep = parseChunk(`{"a": ${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
  assert.throws(() => jsonOf(deep), AnswerUnreadable);
});
