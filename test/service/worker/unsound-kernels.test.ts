/**
 * What is computed in another way where a binding's GPU kernels are known to be wrong, as node-mlx's are on a Mac: forced
 * here, where both ways are right, and compared.
 */
import { afterEach, assert, describe, it } from "@effect/vitest";

import { KVCache } from "../../../src/service/worker/cache/kv-cache.ts";
import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { cutOutputs } from "../../../src/service/worker/layers/linear.ts";
import { mx, type Tensor } from "../../../src/service/worker/mlx.ts";
import { drawTokens } from "../../../src/service/worker/sampling/sampling.ts";
import { checkAgainstItself } from "../../../src/service/worker/self-check.ts";
import { modelTypes } from "./checkpoint-layout.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";
import { greedy } from "./scheduler-run.ts";

const setSound = (hasSoundKernels: boolean): void => void Object.assign(mx, { hasSoundKernels });
afterEach(() => setSound(true));

/** The same computed by sound kernels and around unsound ones. */
const bothWays = <A>(compute: () => A): readonly [A, A] => {
  setSound(true);
  const sound = compute();
  setSound(false);
  return [sound, compute()];
};

const numbers = (tensor: Tensor): ReadonlyArray<number> =>
  (tensor.reshape(1, tensor.size).tolist() as number[][])[0] ?? [];

const table = (rows: number, size: number): Tensor =>
  mx.array(
    Array.from({ length: rows }, (_, row) =>
      Array.from({ length: size }, (__, i) => ((i * 37 + row * 11) % 101) / 101),
    ),
    mx.float32,
  );

describe("without sound kernels", () => {
  it("a seed draws the same tokens, filtered or not", () => {
    const rows = [{}, { topP: 0.8 }, { topK: 5 }, { minP: 0.1 }].map((sampling, seed) => ({
      sampling: { ...greedy, temperature: 1, seed, ...sampling },
      chosenTokens: 3,
      promptTokenIds: [],
      outputTokenIds: [],
      forbidden: [],
    }));
    const logits = mx.multiply(table(4, 3_000), 6);
    const [sound, around] = bothWays(() => drawTokens(logits, rows).tolist());
    assert.deepEqual(around, sound);
  });

  it("outputs are cut in the same places", () => {
    const y = table(6, 40).reshape(2, 3, 40);
    const [sound, around] = bothWays(() => cutOutputs(y, [24, 32, 40]).map((part) => [part.shape, numbers(part)]));
    assert.deepEqual(around, sound);
  });

  it.each(modelTypes)("%s computes the same and agrees with itself", async (modelType) => {
    const shape = { modelType, hiddenSize: 64, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 96 };
    const directory = writeRandomCheckpoint(shape);
    const logitsOf = async (): Promise<ReadonlyArray<number>> => {
      const model = await loadCheckpoint(directory, "float32");
      checkAgainstItself(model);
      const hidden = model.forward(mx.array([[5, 9, 11, 2]], mx.int32), new KVCache(model.cacheShape, [4], 0));
      return numbers(model.logits(mx.take(hidden, mx.array([3], mx.int32), 1).reshape(1, shape.hiddenSize)));
    };
    setSound(true);
    const sound = await logitsOf();
    setSound(false);
    for (const [id, logit] of (await logitsOf()).entries()) assert.closeTo(logit, sound[id] ?? NaN, 1e-3);
  });
});
