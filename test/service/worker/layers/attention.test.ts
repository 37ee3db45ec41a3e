import { assert, describe, it } from "@effect/vitest";

import { attend, attendVariant } from "../../../../src/service/worker/layers/attention.ts";
import { mx, type Tensor } from "../../../../src/service/worker/mlx.ts";

const [rows, heads, kvHeads, capacity, headDim] = [2, 4, 2, 64, 8];

const wave = (phase: number, ...shape: readonly [number, number, ...number[]]): Tensor => {
  const count = shape.reduce((product, length) => product * length, 1);
  return mx
    .array(
      Array.from({ length: count }, (_, i) => Math.sin(i * i * 0.37 + phase)),
      mx.float32,
    )
    .reshape(...shape);
};

/** The second row is shorter by some tokens, padded on the left. */
const maskOf = (tokens: number): Tensor =>
  mx.array(
    Array.from({ length: rows }, (_, row) => [
      Array.from({ length: tokens }, (_unused, query) =>
        Array.from({ length: capacity }, (_none, column) => (column >= 3 * row && column <= query + 20 ? 0 : -1e9)),
      ),
    ]),
    mx.float32,
  );

const keys = wave(1, rows, kvHeads, capacity, headDim);
const values = wave(2, rows, kvHeads, capacity, headDim);

const assertSame = (actual: Tensor, expected: Tensor): void => {
  assert.deepStrictEqual(actual.shape, expected.shape);
  const difference = mx.subtract(actual, expected);
  assert.isBelow(mx.max(mx.flatten(mx.multiply(difference, difference)), -1).item(), 1e-10);
};

describe("attention written out", () => {
  for (const tokens of [1, 7]) {
    const queries = wave(3, rows, heads, tokens, headDim);
    const mask = maskOf(tokens);
    const plain = attend(queries, keys, values, 0.4, mask);

    it(`is MLX's own for ${tokens} tokens, with nothing to bend and no sink`, () => {
      assertSame(attendVariant(queries, keys, values, 0.4, mask, {}), plain);
      assertSame(attendVariant(queries, keys, values, 0.4, mask, { softcap: 1e4 }), plain);
      const faint = mx.full([heads], -1e4);
      assertSame(attendVariant(queries, keys, values, 0.4, mask, { sinks: faint }), plain);
    });

    it(`lets the sinks of ${tokens} tokens' heads take their share`, () => {
      const zeros = mx.zeros([heads]);
      // A sink of 0 is a key of zeros whose value is zeros.
      const more = (tensor: Tensor): Tensor => mx.concatenate([tensor, mx.zeros([rows, kvHeads, 1, headDim])], 2);
      const wider = mx.concatenate([mask, mx.zeros([rows, 1, tokens, 1])], 3);
      const expected = attend(queries, more(keys), more(values), 0.4, wider);
      assertSame(attendVariant(queries, keys, values, 0.4, mask, { sinks: zeros }), expected);
    });
  }

  it("gives a row without any token nothing, not NaN", () => {
    const mask = mx.full([rows, 1, 1, capacity], -1e9);
    const queries = wave(3, rows, heads, 1, headDim);
    const sinks = mx.zeros([heads]);
    assertSame(attendVariant(queries, keys, values, 0.4, mask, { sinks }), mx.zeros([rows, 1, heads * headDim]));
  });
});
