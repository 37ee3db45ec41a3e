import { assert, describe, it } from "@effect/vitest";

import { createExpertLinear, largest, mixExperts } from "../../../../src/service/worker/layers/experts.ts";
import { collectBetweenSteps, mx, type Tensor } from "../../../../src/service/worker/mlx.ts";

const experts = 5;
const size = 3;

const wave = (...shape: readonly [number, number, ...number[]]): Tensor => {
  const count = shape.reduce((product, length) => product * length, 1);
  const values = Array.from({ length: count }, (_, i) => Math.sin(i * 1.7 + shape.length));
  return mx.array(values, mx.float32).reshape(...shape);
};

const weights = wave(experts, size, size);
const biases = wave(experts, size);
const linear = createExpertLinear([{ quantization: undefined, weight: weights }], biases);

const mix = (tokens: number, chosen: ReadonlyArray<ReadonlyArray<number>>): number[][] => {
  const shares = wave(tokens, chosen[0]?.length ?? 0);
  return mixExperts(wave(tokens, size), mx.array(chosen, mx.int32), shares, linear).tolist() as number[][];
};

const mixOneByOne = (tokens: number, chosen: ReadonlyArray<ReadonlyArray<number>>): number[][] => {
  const [x, w, b] = [wave(tokens, size).tolist(), weights.tolist(), biases.tolist()] as [
    number[][],
    number[][][],
    number[][],
  ];
  const shares = wave(tokens, chosen[0]?.length ?? 0).tolist() as number[][];
  return chosen.map((ids, token) =>
    Array.from({ length: size }, (_, out) =>
      ids.reduce((total, expert, place) => {
        const product = (x[token] ?? []).reduce((sum, value, i) => sum + value * (w[expert]?.[out]?.[i] ?? NaN), 0);
        return total + (shares[token]?.[place] ?? NaN) * (product + (b[expert]?.[out] ?? NaN));
      }, 0),
    ),
  );
};

describe("a mixture of experts", () => {
  for (const [tokens, count] of [
    [1, 1],
    [1, 4],
    [50, 1],
    [50, 3],
    [50, experts],
  ] as const) {
    it(`sends ${tokens} tokens through ${count} experts each`, () => {
      const chosen = Array.from({ length: tokens }, (_, token) =>
        Array.from({ length: count }, (_unused, place) => (token * token + place) % experts),
      );
      const expected = mixOneByOne(tokens, chosen);
      for (const [token, values] of mix(tokens, chosen).entries()) {
        for (const [out, value] of values.entries()) assert.closeTo(value, expected[token]?.[out] ?? NaN, 1e-5);
      }
    });
  }

  // A router that chooses one expert ended the process: its choice was a slice, a view that is not contiguous, and MLX's
  // argsort wrote past the memory of its result.
  it("survives the sorting of a router's single choices", async () => {
    for (let round = 0; round < 50; round++) {
      const scores = wave(90, 8);
      const order = mx.argsort(mx.flatten(largest(scores, 1)), -1);
      const sorted = (order.tolist() as number[]).toSorted((a, b) => a - b);
      assert.deepStrictEqual(
        sorted,
        sorted.map((_, i) => i),
      );
      await collectBetweenSteps(1);
    }
  });

  it("chooses the largest", () => {
    const chosen = largest(mx.array([[0.1, 3, -2, 7, 2]], mx.float32), 3).tolist() as number[][];
    assert.deepStrictEqual(
      chosen[0]?.toSorted((a, b) => a - b),
      [1, 3, 4],
    );
  });
});
