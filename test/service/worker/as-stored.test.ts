/** Weights in 16 bits and in quantised forms, computed as they are stored: what runs on a Mac's GPU, on this machine's CPU. */
import { assert, describe, it } from "@effect/vitest";

import type { Model } from "../../../src/service/worker/architectures/Model.ts";
import { bytesOf } from "../../../src/service/worker/cache/cache-size.ts";
import { KVCache } from "../../../src/service/worker/cache/kv-cache.ts";
import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { all, mx, type Tensor } from "../../../src/service/worker/mlx.ts";
import { checkAgainstItself } from "../../../src/service/worker/self-check.ts";
import { modelTypes } from "./checkpoint-layout.ts";
import { type QuantizedAs, type Tensors, writeRandomCheckpoint } from "./random-checkpoint.ts";

const shape = { hiddenSize: 64, layers: 2, heads: 4, kvHeads: 2, vocabularySize: 96 };
const tokens = Array.from({ length: 24 }, (_, i) => (i * 37 + 5) % shape.vocabularySize);

/** float32 logits of the prompt's last token. */
const logitsOf = (model: Model): readonly number[] => {
  const hidden = model.forward(mx.array([tokens], mx.int32), new KVCache(model.cacheShape, [tokens.length], 0));
  const last = hidden.index(all, tokens.length - 1);
  return (model.logits(last).astype(mx.float32).tolist() as number[][])[0] ?? [];
};

/** Root mean square of the differences, as a share of the logits' spread. */
const difference = (got: readonly number[], expected: readonly number[]): number => {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const center = mean(expected);
  const apart = mean(got.map((value, id) => (value - (expected[id] ?? NaN)) ** 2));
  return Math.sqrt(apart / mean(expected.map((value) => (value - center) ** 2)));
};

/** What the project's own binding has beside. */
const own = mx as typeof mx & {
  readonly quantize: (w: Tensor, groupSize: number, bits: number, mode: string) => Tensor[];
  readonly pendingPrimitives: (...tensors: Tensor[]) => Record<string, number>;
};

const needsOwn = (context: { skip: (reason: string) => void }): void => {
  if (mx.binding !== "own") context.skip("node-mlx multiplies float32 alone on a CPU");
};

/** Of 16 bits: 8 in bfloat16, 11 in float16; each layer rounds a dozen times. */
const mostApart = { bfloat16: 0.06, float16: 0.01 };

const maskTypeOf = (cache: KVCache) => {
  const { mask } = cache.begin(2).visibleWithin(4);
  return mask === undefined || mask === "causal" ? undefined : mask.dtype;
};

describe("a model as it is stored", () => {
  for (const modelType of modelTypes) {
    it.each(["bfloat16", "float16"] as const)(`${modelType} in %s computes what it does in float32`, async (type) => {
      const directory = writeRandomCheckpoint({ ...shape, modelType }, {}, { type });
      const stored = await loadCheckpoint(directory, mx.binding === "own" ? "stored" : undefined);
      checkAgainstItself(stored);
      const expected = logitsOf(await loadCheckpoint(directory, "float32"));
      assert.isBelow(difference(logitsOf(stored), expected), mostApart[type]);
    });

    it(`${modelType} in 4 bits computes what it does unpacked`, async (context) => {
      needsOwn(context);
      const quantization = (path: string): QuantizedAs | undefined =>
        path.endsWith("gate") || path.endsWith("router") ? undefined : { group_size: 32, bits: 4 };
      const directory = writeRandomCheckpoint({ ...shape, modelType }, {}, { type: "bfloat16", quantization });
      const stored = await loadCheckpoint(directory, "stored");
      checkAgainstItself(stored);
      const expected = logitsOf(await loadCheckpoint(directory, "float32"));
      assert.isBelow(difference(logitsOf(stored), expected), 2 * mostApart.bfloat16);
    });
  }

  for (const { mode, ...settings } of [
    { bits: 3, group_size: 64, mode: "affine" },
    { bits: 5, group_size: 32, mode: "affine" },
    { bits: 6, group_size: 64, mode: "affine" },
    { bits: 4, group_size: 32, mode: "mxfp4" },
    { bits: 8, group_size: 32, mode: "mxfp8" },
    { bits: 4, group_size: 16, mode: "nvfp4" },
  ] as const) {
    it(`is not unpacked in ${mode} with ${settings.bits} bits`, async (context) => {
      needsOwn(context);
      const pack = (tensors: Tensors): Tensors =>
        Object.fromEntries(
          Object.entries(tensors).flatMap(([name, tensor]) => {
            if (!name.endsWith("_proj.weight")) return [[name, tensor]];
            const [weight, scales, biases] = own.quantize(tensor, settings.group_size, settings.bits, mode);
            const path = name.replace(/\.weight$/, "");
            if (weight === undefined || scales === undefined) throw new RangeError("nothing was quantised");
            const offsets = biases === undefined ? [] : [[`${path}.biases`, biases] as const];
            return [[name, weight] as const, [`${path}.scales`, scales] as const, ...offsets];
          }),
        );
      const directory = writeRandomCheckpoint(
        { ...shape, modelType: "llama" },
        { quantization: { ...settings, mode } },
        { type: "bfloat16", transform: pack },
      );
      const expected = logitsOf(await loadCheckpoint(directory, "float32"));
      const stored = await loadCheckpoint(directory, "stored");
      assert.isBelow(difference(logitsOf(stored), expected), 2 * mostApart.bfloat16);
      const cache = new KVCache(stored.cacheShape, [1], 0);
      const pending = own.pendingPrimitives(stored.forward(mx.array([[5]], mx.int32), cache));
      // Of each layer the joined queries, keys and values, their output, gate and up joined, and down.
      assert.strictEqual(pending["QuantizedMatmul"], 4 * shape.layers);
    });
  }

  for (const [what, layout] of [
    ["float32", { type: "float32" }],
    ["float16", { type: "float16" }],
    ["4 bits with scales in float16", { type: "float16", quantization: () => ({ group_size: 32, bits: 4 }) }],
  ] as const) {
    it(`is wholly in bfloat16 where that is asked for, if it is stored in ${what}`, async (context) => {
      needsOwn(context);
      const directory = writeRandomCheckpoint({ ...shape, modelType: "llama" }, {}, layout);
      const model = await loadCheckpoint(directory, "bfloat16");
      checkAgainstItself(model);
      const cache = new KVCache(model.cacheShape, [tokens.length], 0);
      assert.strictEqual(model.forward(mx.array([tokens], mx.int32), cache).dtype, mx.bfloat16);
      for (const array of cache.arrays) assert.strictEqual(array.dtype, mx.bfloat16);
      const expected = logitsOf(await loadCheckpoint(directory, "float32"));
      assert.isBelow(difference(logitsOf(model), expected), 2 * mostApart.bfloat16);
    });
  }

  it("keeps keys, values and masks in 16 bits, and counts them so", async (context) => {
    needsOwn(context);
    const directory = writeRandomCheckpoint({ ...shape, modelType: "llama" }, {}, { type: "bfloat16" });
    const model = await loadCheckpoint(directory, "stored");
    const cache = new KVCache(model.cacheShape, [tokens.length], 0);
    const hidden = model.forward(mx.array([tokens], mx.int32), cache);
    assert.strictEqual(hidden.dtype, mx.bfloat16);
    for (const array of cache.arrays) assert.strictEqual(array.dtype, mx.bfloat16);
    const held = cache.arrays.reduce((sum, { nbytes }) => sum + nbytes, 0);
    assert.strictEqual(bytesOf(model.cacheShape, 1, cache.capacity), held);
    assert.strictEqual(maskTypeOf(cache), mx.bfloat16);
    const snapshot = cache.snapshot(0, 0, 4);
    assert.strictEqual(snapshot.keys[0]?.dtype, mx.bfloat16);
    assert.strictEqual(
      snapshot.bytes,
      [...snapshot.keys, ...snapshot.values].reduce((sum, { nbytes }) => sum + nbytes, 0),
    );
  });
});
