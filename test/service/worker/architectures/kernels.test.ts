/**
 * On a GPU a decode step of a small model takes as long as its kernels are many, and no timing here can tell: so they are
 * counted, as what is still to be computed for a step.
 */
import { assert, describe, it } from "@effect/vitest";

import { KVCache } from "../../../../src/service/worker/cache/kv-cache.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { type Dtype, mx, type Tensor } from "../../../../src/service/worker/mlx.ts";
import { type ModelType, modelTypes } from "../checkpoint-layout.ts";
import { writeRandomCheckpoint } from "../random-checkpoint.ts";

const shape = { hiddenSize: 64, heads: 4, kvHeads: 2, vocabularySize: 96 } as const;

/** They change how an array is looked at, and compute nothing. */
const views = new Set(
  "AsStrided Broadcast Contiguous ExpandDims Flatten Reshape Slice Split Squeeze Transpose Unflatten".split(" "),
);

const own = mx as typeof mx & {
  readonly pendingPrimitives: (...tensors: Tensor[]) => Readonly<Record<string, number>>;
};

const needsOwn = (context: { skip: (reason: string) => void }): void => {
  if (mx.binding !== "own") context.skip("node-mlx does not tell what is still to be computed");
};

/** Of a decode step of one row, by their names. */
const kernelsOf = async (modelType: ModelType, layers: number): Promise<ReadonlyMap<string, number>> => {
  const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, layers, modelType }));
  const cache = new KVCache(model.cacheShape, [20], 8);
  mx.eval(model.forward(mx.array([Array.from({ length: 20 }, (_, i) => i)], mx.int32), cache), ...cache.arrays);
  const pending = own.pendingPrimitives(model.forward(mx.array([[5]], mx.int32), cache));
  return new Map(Object.entries(pending).filter(([name]) => !views.has(name)));
};

/** Of a layer. Attention is one kernel on a GPU, and three here: two products and a softmax. */
const most: Readonly<Record<ModelType, number>> = {
  llama: 15,
  qwen2: 16,
  qwen3: 18,
  qwen3_moe: 38,
  gemma2: 35,
  gemma3_text: 30,
  phi3: 15,
  gpt_oss: 52,
};

describe("a decode step", () => {
  for (const modelType of modelTypes) {
    it(`of ${modelType} takes at most ${most[modelType]} kernels a layer`, async (context) => {
      needsOwn(context);
      const [two, four] = [await kernelsOf(modelType, 2), await kernelsOf(modelType, 4)];
      const perLayer = [...four].map(([name, count]) => [name, (count - (two.get(name) ?? 0)) / 2] as const);
      const sum = perLayer.reduce((total, [, count]) => total + count, 0);
      assert.isAtMost(sum, most[modelType], JSON.stringify(Object.fromEntries(perLayer)));
      // What is not a layer's: embedding, the last norm, what the layers share.
      const shared = [...two.values()].reduce((total, count) => total + count, 0) - 2 * sum;
      assert.isAtMost(shared, 6, JSON.stringify(Object.fromEntries(two)));
    });

    it(`of ${modelType} in bfloat16 computes hidden states, queries, keys, values and masks in it`, async (context) => {
      needsOwn(context);
      const directory = writeRandomCheckpoint({ ...shape, layers: 2, modelType }, {}, { type: "bfloat16" });
      const model = await loadCheckpoint(directory, "stored");
      const seen: Array<readonly [what: string, type: Dtype]> = [];
      const before = { ...mx.fast };
      Object.assign(mx.fast, {
        rmsNorm: (...args: Parameters<typeof before.rmsNorm>) => {
          seen.push(["hidden", args[0].dtype]);
          return before.rmsNorm(...args);
        },
        scaledDotProductAttention: (...args: Parameters<typeof before.scaledDotProductAttention>) => {
          const [q, k, v, , mask] = args;
          seen.push(["queries", q.dtype], ["keys", k.dtype], ["values", v.dtype]);
          if (mask !== undefined && mask !== "causal") seen.push(["mask", mask.dtype]);
          const attended = before.scaledDotProductAttention(...args);
          seen.push(["attended", attended.dtype]);
          return attended;
        },
      });
      try {
        // Rows of different lengths, so that there are masks.
        const cache = new KVCache(model.cacheShape, [6, 4], 4);
        model.forward(
          mx.array(
            [
              [0, 1, 2, 3, 4, 5],
              [0, 0, 6, 7, 8, 9],
            ],
            mx.int32,
          ),
          cache,
        );
        const hidden = model.forward(mx.array([[10], [11]], mx.int32), cache);
        seen.push(["hidden", hidden.dtype], ...cache.arrays.map(({ dtype }) => ["cache", dtype] as const));
      } finally {
        Object.assign(mx.fast, before);
      }
      for (const [what, type] of seen) assert.strictEqual(type, mx.bfloat16, what);
      const attends = modelType === "gemma2" ? 0 : 4;
      assert.strictEqual(seen.filter(([what]) => what === "mask").length, attends);
    });
  }
});

describe("embeddings that no token has", () => {
  for (const modelType of modelTypes) {
    it(`are computed by ${modelType} as those of tokens are`, async () => {
      const model = await loadCheckpoint(writeRandomCheckpoint({ ...shape, layers: 2, modelType }));
      const tokens = mx.array([[1, 2, 3, 4, 5]], mx.int32);
      const cache = () => new KVCache(model.cacheShape, [5], 0);
      const expected = model.forward(tokens, cache()).astype(mx.float32);
      const positions = mx.arange(0, 5, 1, mx.float32).reshape(1, 5);
      // As an image's places are told: by three numbers each, which are one for text.
      const threefold = mx.stack([positions, positions, positions], 0);
      for (const told of [undefined, positions, threefold]) {
        const got = model.forwardEmbedded(model.embed(tokens), cache(), told);
        const apart = mx.subtract(got, expected);
        assert.isBelow(mx.max(mx.flatten(mx.multiply(apart, apart)), -1).item(), 1e-8);
      }
      const further = model.forwardEmbedded(model.embed(tokens), cache(), mx.multiply(positions, 3));
      const moved = mx.subtract(further, expected);
      assert.isAbove(mx.max(mx.flatten(mx.multiply(moved, moved)), -1).item(), 1e-8);
    });
  }
});
