import { assert, it } from "vitest";

import { nestsDeeper } from "../../../src/service/domain/nests-deeper.ts";

it.each([
  [7, 0, false],
  [[], 0, false],
  [[7], 0, true],
  [{ a: [7], b: 1 }, 2, false],
  [{ a: [7], b: 1 }, 1, true],
])("%j is nested more than %i deep: %s", (value, most, isDeeper) => {
  assert.strictEqual(nestsDeeper(value, most), isDeeper);
});

it("tells of a value that recursion could not go through", () => {
  assert.isTrue(nestsDeeper(JSON.parse(`${"[".repeat(100_000)}${"]".repeat(100_000)}`), 256));
});
