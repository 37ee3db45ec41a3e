import { assert, describe, it } from "@effect/vitest";

import { assertFinite } from "../../../../src/service/worker/files/assert-finite.ts";
import { LoadError } from "../../../../src/service/worker/files/load-error.ts";
import { mx } from "../../../../src/service/worker/mlx.ts";

/** float16 [3, 9 million]: each row is looked at apart. */
const largeWith = (value: number, row: number) => {
  const columns = 9 * 1024 ** 2;
  const rows = [0, 1, 2].map((each) =>
    mx.concatenate([mx.zeros([1, columns - 1], mx.float16), mx.array([[each === row ? value : 1]], mx.float16)], 1),
  );
  return mx.concatenate(rows, 0);
};

describe("assertFinite", () => {
  it.each([
    [Number.NaN, 0],
    [Number.POSITIVE_INFINITY, 1],
    [Number.NEGATIVE_INFINITY, 2],
  ])("finds %d in row %i of a large tensor", (value, row) => {
    assert.throws(() => assertFinite("w", largeWith(value, row)), LoadError, /tensor w has values that are not finite/);
  });

  it("passes a large tensor of numbers, and a sum that 16 bits cannot hold", () => {
    assertFinite("w", largeWith(60_000, 1));
    assertFinite("w", mx.array([60_000, 60_000], mx.float16));
    assertFinite("w", mx.array(1, mx.float32));
  });
});
