/** Around a kernel that is wrong on a GPU, forced here, where both ways are right. */
import { afterEach, assert, describe, it } from "@effect/vitest";

import { mx } from "../../../../src/service/worker/mlx.ts";
import { prefixSums } from "../../../../src/service/worker/sampling/prefix-sums.ts";

const setSound = (hasSoundKernels: boolean): void => void Object.assign(mx, { hasSoundKernels });
afterEach(() => setSound(true));

describe("prefix sums", () => {
  it.each([1, 255, 256, 257, 1_024, 5_003])("of %d numbers are the same without the kernel for them", (size) => {
    const row = (salt: number) => Array.from({ length: size }, (_, i) => ((i * 37 + salt * 11) % 101) / 101);
    const values = mx.array([row(0), row(1), row(2)], mx.float32);
    const sums = (isSound: boolean): number[][] => {
      setSound(isSound);
      return prefixSums(values).tolist() as number[][];
    };
    const sound = sums(true);
    for (const [place, around] of sums(false).entries()) {
      assert.lengthOf(around, size);
      for (const [index, sum] of around.entries()) {
        const expected = sound[place]?.[index] ?? NaN;
        assert.closeTo(sum, expected, 1e-5 * Math.max(1, expected));
      }
    }
  });
});
