import { assert, describe, it } from "@effect/vitest";

import { multiplyPlain, piecesFor } from "../../../../src/service/worker/layers/linear.ts";
import { mx } from "../../../../src/service/worker/mlx.ts";

const values = (count: number, salt: number): number[] =>
  Array.from({ length: count }, (_, i) => ((i * 37 + salt * 11) % 101) / 50 - 1);

describe("a linear layer", () => {
  it.each([
    [1, 64, 3000],
    [2, 64, 3000],
    [5, 96, 1536],
    [16, 128, 1280],
    [17, 128, 1280],
    [3, 64, 1499], // a prime: it has no pieces
  ])("multiplies %d tokens of %d inputs to %d outputs", (tokens, inputs, out) => {
    const x = values(tokens * inputs, 1);
    const weight = values(out * inputs, 2);
    const matrix = mx.array(weight, mx.float32).reshape(out, inputs);
    for (const [inPieces, shape] of [
      [true, [tokens, inputs]],
      [true, [tokens, 1, inputs]],
      [true, [1, tokens, inputs]],
      [false, [1, tokens, inputs]],
    ] as const) {
      const linear = multiplyPlain(matrix, inPieces);
      const [first, second, ...others] = shape;
      const y = linear(mx.array(x, mx.float32).reshape(first, second, ...others));
      assert.deepStrictEqual(y.shape, [...shape.slice(0, -1), out]);
      const flat = y.reshape(1, tokens * out).tolist() as number[][];
      for (const [token, output] of [
        [0, 0],
        [tokens - 1, out - 1],
        [tokens >> 1, out >> 1],
      ] as const) {
        const exact = Array.from(
          { length: inputs },
          (_, i) => (x[token * inputs + i] ?? 0) * (weight[output * inputs + i] ?? 0),
        ).reduce((sum, product) => sum + product, 0);
        assert.closeTo(flat[0]?.[token * out + output] ?? Number.NaN, exact, 1e-3);
      }
    }
  });

  it("is computed in pieces that fit the kernels for small products, or whole", () => {
    assert.strictEqual(piecesFor(1, 256, 768), 1);
    assert.strictEqual(piecesFor(1, 256, 1536), 2);
    assert.strictEqual(piecesFor(1, 4096, 4096), 32);
    assert.strictEqual(piecesFor(8, 512, 2816), 22);
    assert.strictEqual(piecesFor(32, 512, 2816), 1);
    assert.strictEqual(piecesFor(1, 64, 1499), 1);
  });
});
