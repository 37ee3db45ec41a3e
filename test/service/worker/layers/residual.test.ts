import { assert, describe, it } from "@effect/vitest";

import { KVCache } from "../../../../src/service/worker/cache/kv-cache.ts";
import { loadCheckpoint } from "../../../../src/service/worker/checkpoint.ts";
import { addResidual } from "../../../../src/service/worker/layers/residual.ts";
import { mx } from "../../../../src/service/worker/mlx.ts";
import { type Tensors, writeRandomCheckpoint } from "../random-checkpoint.ts";

describe("a residual", () => {
  it("stays within float16, and in other types is the sum", () => {
    const sums = (type: "float16" | "bfloat16" | "float32"): unknown =>
      addResidual(mx.array([60_000, -60_000, 1], mx[type]), mx.array([60_000, -60_000, 2], mx[type]))
        .astype(mx.float32)
        .tolist();
    assert.deepEqual(sums("float16"), [65_504, -65_504, 3]);
    assert.deepEqual(sums("float32"), [120_000, -120_000, 3]);
    assert.isAbove((sums("bfloat16") as number[])[0] ?? 0, 110_000);
  });

  // It became infinite, and the logits were no numbers: nothing of the kind happens in float32, which CI computes in.
  it("of a gemma3 in float16 whose layers outgrow the type leaves logits that are numbers", async (context) => {
    if (mx.binding !== "own") return context.skip("node-mlx multiplies float32 alone on a CPU");
    const shape = {
      modelType: "gemma3_text",
      hiddenSize: 64,
      layers: 4,
      heads: 4,
      kvHeads: 2,
      vocabularySize: 96,
    } as const;
    const louder = (tensors: Tensors): Tensors =>
      Object.fromEntries(
        Object.entries(tensors).map(([name, tensor]) => [
          name,
          /post_(attention|feedforward)_layernorm/.test(name)
            ? mx.add(mx.multiply(tensor, 0), 20_000).astype(mx.float16)
            : tensor,
        ]),
      );
    const directory = writeRandomCheckpoint(shape, {}, { type: "float16", transform: louder });
    const model = await loadCheckpoint(directory, "stored");
    const hidden = model.forward(mx.array([[5, 9, 11]], mx.int32), new KVCache(model.cacheShape, [3], 0));
    const logits = model.logits(mx.take(hidden, mx.array([2], mx.int32), 1).reshape(1, shape.hiddenSize));
    assert.isTrue(Number.isFinite(mx.sum(logits.astype(mx.float32)).item()));
  });
});
