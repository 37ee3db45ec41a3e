/** What the binding computes in one pass on a Linux CPU, against the same written out in MLX's operations. */
import { assert, describe, it } from "@effect/vitest";

import type { Tensor } from "../../src/service/worker/binding/core.ts";
import { binding as mx } from "./binding.ts";

const random = (seed: number, ...shape: number[]): Tensor =>
  mx.random.normal(shape, mx.float32, 0, 1, mx.random.key(seed));

const assertSame = (got: Tensor, expected: Tensor, tolerance: number): void => {
  assert.deepStrictEqual(got.shape, expected.shape);
  const apart = mx.subtract(got.astype(mx.float32), expected.astype(mx.float32));
  assert.isAtMost(Math.sqrt(mx.max(mx.flatten(mx.multiply(apart, apart)), -1).item()), tolerance);
};

/** The halves of [3, 7, 200], which are views, and what is in them side by side. */
const [first, second] = mx.split(random(1, 3, 7, 200), 2, -1) as [Tensor, Tensor];
const whole = (view: Tensor): Tensor => mx.add(view, 0);

const swappedHalves = (x: Tensor): Tensor => {
  const [low, high] = mx.split(x, 2, -1) as [Tensor, Tensor];
  return mx.concatenate([mx.multiply(high, -1), low], -1);
};

describe("root mean square norms", () => {
  it("are the same of a view, and of one row of one element", () => {
    const weight = random(2, 100);
    const squares = mx.mean(mx.multiply(whole(second), whole(second)), -1, true);
    const expected = mx.multiply(mx.divide(second, mx.power(mx.add(squares, 1e-3), 0.5)), weight);
    assertSame(mx.fast.rmsNorm(second, weight, 1e-3), expected, 1e-5);
    assertSame(mx.fast.rmsNorm(mx.full([1, 1], 3), mx.full([1], 2), 0), mx.full([1, 1], 2), 1e-6);
    assert.deepStrictEqual(mx.fast.rmsNorm(mx.zeros([0, 4]), mx.zeros([4]), 1e-3).shape, [0, 4]);
  });

  it("refuse a weight of another size", () => {
    assert.throws(() => mx.fast.rmsNorm(first, mx.zeros([5]), 1e-3), /weight/);
  });
});

describe("SwiGLU", () => {
  for (const type of ["float32", "float16", "bfloat16"] as const) {
    it(`is gate * sigmoid(gate) * up of two views in ${type}`, () => {
      const [gate, up] = [first.astype(mx[type]), second.astype(mx[type])];
      const got = mx.fast.swiglu(gate, up);
      assert.strictEqual(got.dtype, mx[type]);
      const expected = mx.multiply(mx.multiply(first, mx.sigmoid(first)), second);
      assertSame(got, expected, { float32: 1e-6, float16: 2e-2, bfloat16: 0.15 }[type]);
    });
  }

  it("is 0, and no NaN, where the gate is far below 0", () => {
    assertSame(mx.fast.swiglu(mx.full([4], -1000), mx.full([4], 2)), mx.zeros([4]), 0);
  });
});

describe("rotary embedding", () => {
  const frequencies = mx.array(
    Array.from({ length: 16 }, (_, i) => 10_000 ** (-i / 16)),
    mx.float32,
  );
  const periods = mx.divide(1, frequencies);
  const offsets = [0, 7, -3, 100_003];
  const x = random(3, 4, 5, 2, 48).transpose(0, 2, 1, 3);

  it("turns the first elements of each row from its own offset on", () => {
    const got = mx.fast.rope(x, 32, false, undefined, 0.5, mx.array(offsets, mx.int32), periods, frequencies);
    const [turning, still] = mx.split(x, [32], -1) as [Tensor, Tensor];
    const positions = mx.array(offsets.map((offset) => Array.from({ length: 5 }, (_, token) => (offset + token) / 2)));
    const angles = mx.multiply(positions.reshape(4, 1, 5, 1), mx.concatenate([frequencies, frequencies], 0));
    const turned = mx.add(mx.multiply(turning, mx.cos(angles)), mx.multiply(swappedHalves(turning), mx.sin(angles)));
    assertSame(got, mx.concatenate([turned, still], -1), 2e-6);
  });

  it("turns pairs as it turns halves, put in another order", () => {
    const places = mx.array(offsets, mx.int32);
    const [turning] = mx.split(x, [32], -1) as [Tensor];
    const toPairs = mx.array(
      Array.from({ length: 32 }, (_, i) => Math.floor(i / 2) + (i % 2) * 16),
      mx.int32,
    );
    const halves = mx.fast.rope(turning, 32, false, undefined, 1, places, periods, frequencies);
    const pairs = mx.fast.rope(mx.take(turning, toPairs, -1), 32, true, undefined, 1, places, periods, frequencies);
    assertSame(pairs, mx.take(halves, toPairs, -1), 0);
  });

  it("is near to MLX's own in 16 bits", () => {
    const small = mx.array([0, 7, 3, 40], mx.int32);
    const exact = mx.fast.rope(x, 32, false, undefined, 1, small, periods, frequencies);
    const rounded = mx.fast.rope(x.astype(mx.bfloat16), 32, false, undefined, 1, small, periods, frequencies);
    assert.strictEqual(rounded.dtype, mx.bfloat16);
    assertSame(rounded, exact, 0.06);
  });
});

describe("attention", () => {
  for (const tokens of [1, 5, 9]) {
    it(`looks at no column behind a query's own, for ${tokens} queries of the last of 9 columns`, () => {
      const [queries, keys, values] = [random(4, 2, 8, tokens, 32), random(5, 2, 2, 9, 32), random(6, 2, 2, 9, 32)];
      const columns = mx.arange(0, 9, 1, mx.float32).reshape(1, 9);
      const own = mx.arange(9 - tokens, 9, 1, mx.float32).reshape(tokens, 1);
      const mask = mx.where(mx.lessEqual(columns, own), 0, -Infinity).reshape(1, 1, tokens, 9);
      const expected = mx.fast.scaledDotProductAttention(queries, keys, values, 0.2, mask);
      assertSame(mx.fast.scaledDotProductAttention(queries, keys, values, 0.2, "causal"), expected, 1e-6);
      const [q, k, v] = [queries, keys, values].map((each) => each.astype(mx.float16)) as [Tensor, Tensor, Tensor];
      assertSame(mx.fast.scaledDotProductAttention(q, k, v, 0.2, "causal"), expected, 1e-2);
      if (tokens === 1) assertSame(mx.fast.scaledDotProductAttention(queries, keys, values, 0.2), expected, 1e-6);
    });
  }
});

describe("columns that are written where they lie", () => {
  it("hold what was put there, and no others change", () => {
    const array = mx.full([2, 2, 9, 4], 7);
    const update = random(7, 2, 3, 2, 4).transpose(0, 2, 1, 3);
    array.putColumns_(4, update);
    const expected = mx.concatenate([mx.full([2, 2, 4, 4], 7), update, mx.full([2, 2, 2, 4], 7)], 2);
    assertSame(array, expected, 0);
  });

  it("are not copied while an operation that reads the array is still to be computed", () => {
    const bytes = 4 * 64 * 1024 * 64;
    const array = mx.zeros([1, 64, 1024, 64]);
    mx.eval(array);
    mx.resetPeakMemory();
    const before = mx.getActiveMemory();
    const sums: Tensor[] = [];
    for (let step = 0; step < 20; step++) {
      array.putColumns_(step, mx.full([1, 64, 1, 64], step));
      const view = array.index(mx.Slice(), mx.Slice(), mx.Slice(0, step + 1), mx.Slice());
      const sum = mx.sum(view);
      view.dispose();
      mx.asyncEval(sum, array);
      sums.push(sum);
    }
    assert.deepStrictEqual(
      sums.map((sum) => sum.item()),
      sums.map((_, step) => (64 * 64 * step * (step + 1)) / 2),
    );
    assert.isBelow(mx.getPeakMemory() - before, bytes / 2);
  });

  it("are refused where they do not fit", () => {
    const array = mx.zeros([1, 1, 4, 2]);
    for (const [from, shape] of [
      [-1, [1, 1, 1, 2]],
      [3, [1, 1, 2, 2]],
      [0, [1, 1, 1, 3]],
      [0, [1, 2]],
    ] as const) {
      assert.throws(() => array.putColumns_(from, mx.zeros([...shape])), /putColumns_/);
    }
  });
});
