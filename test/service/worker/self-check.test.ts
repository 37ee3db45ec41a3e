import { afterEach, assert, describe, it } from "@effect/vitest";

import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { mx, type Tensor } from "../../../src/service/worker/mlx.ts";
import { checkAgainstItself } from "../../../src/service/worker/self-check.ts";
import type { CheckpointShape } from "./checkpoint-layout.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";

const shape: CheckpointShape = {
  modelType: "qwen3",
  hiddenSize: 64,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  vocabularySize: 256,
};

const sound = { ...mx.fast };

afterEach(() => {
  Object.assign(mx.fast, sound);
});

/** What the check says of a model that computes with these operations. */
const problemWith = async (operations: Partial<typeof mx.fast>, of: CheckpointShape = shape): Promise<string> => {
  const model = await loadCheckpoint(writeRandomCheckpoint(of));
  Object.assign(mx.fast, operations);
  try {
    checkAgainstItself(model);
    return "none";
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
};

/** Attention written out, with a mask for each head: [rows, heads, tokens, capacity]. */
const attendPlainly = (q: Tensor, k: Tensor, v: Tensor, scale: number, mask: Tensor): Tensor => {
  const [rows = 0, heads = 0] = q.shape;
  const [, kvHeads = 0, capacity = 0, headDim = 0] = k.shape;
  const forHeads = (x: Tensor): Tensor => {
    const spread = mx.broadcastTo(mx.expandDims(x, 2), [rows, kvHeads, heads / kvHeads, capacity, headDim]);
    return spread.reshape(rows, heads, capacity, headDim);
  };
  const scores = mx.multiply(mx.matmul(q, forHeads(k).transpose(0, 1, 3, 2)), scale);
  return mx.matmul(mx.softmax(mx.add(scores, mask), 3), forHeads(v));
};

describe("a model that is checked against itself", () => {
  it.each(["llama", "qwen2", "qwen3", "qwen3_moe", "gemma2", "gemma3_text", "phi3", "gpt_oss"] as const)(
    "passes as %s",
    async (modelType) => {
      assert.strictEqual(await problemWith({}, { ...shape, modelType }), "none");
    },
  );

  it("fails where a norm of a view leaves its last rows uncomputed", async () => {
    // As MLX 0.13 on Metal does with the parts of a joined product.
    const ofViews = (x: Tensor, weight: Tensor, eps: number): Tensor => {
      const normed = sound.rmsNorm(x, weight, eps);
      const [rows = 0, tokens = 0] = x.shape;
      if (x.ndim !== 4 || rows * tokens === 1) return normed;
      const computed = Math.ceil((rows * tokens) / 2);
      const isComputed = mx.less(mx.arange(0, rows * tokens, 1, mx.float32), computed).reshape(rows, tokens, 1, 1);
      return mx.where(isComputed, normed, 0);
    };
    const problem = await problemWith({ rmsNorm: ofViews });
    assert.match(
      problem,
      /^the model does not agree with itself: the logits of a prompt at once and token by token differ/,
    );
  });

  it("fails where rows are given each other's masks", async () => {
    // As MLX 0.13 does with a mask of four dimensions where there are as many rows as heads of keys.
    const withoutRows = (q: Tensor, k: Tensor, v: Tensor, scale: number, mask?: Tensor | "causal"): Tensor => {
      if (mask === "causal") return sound.scaledDotProductAttention(q, k, v, scale, mask);
      const [rows = 0] = mask?.shape ?? [];
      const [, heads = 0] = q.shape;
      const [, kvHeads = 0, capacity = 0] = k.shape;
      const tokens = mask?.shape.at(-2) ?? 0;
      if (mask === undefined || heads === kvHeads || rows !== kvHeads) {
        return sound.scaledDotProductAttention(q, k, v, scale, mask);
      }
      // Each head of keys has the mask of the row of its number, in every row.
      const ofHeads = Array.from({ length: heads }, (_, head) => Math.floor((head * kvHeads) / heads));
      const turned = mx.take(mask.reshape(rows, tokens, capacity), mx.array(ofHeads, mx.int32), 0);
      const whole = mx.broadcastTo(turned.reshape(1, heads, tokens, capacity), [
        q.shape[0] ?? 0,
        heads,
        tokens,
        capacity,
      ]);
      return attendPlainly(q, k, v, scale, whole);
    };
    const problem = await problemWith({ scaledDotProductAttention: withoutRows });
    assert.match(problem, /two sequences together and alone differ/);
  });

  it("fails where an operation answers no number", async () => {
    const nothing = (x: Tensor, weight: Tensor, eps: number): Tensor => mx.divide(sound.rmsNorm(x, weight, eps), 0);
    assert.match(await problemWith({ rmsNorm: nothing }), /not finite numbers/);
  });
});
