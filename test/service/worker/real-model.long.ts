import { assert, describe, it } from "@effect/vitest";

import { checkModel } from "../../../scripts/parity/check-model.ts";
import { ensureRealModel, RealModelMissing } from "../../../scripts/real-model/ensure.ts";
import { mx } from "../../../src/service/worker/mlx.ts";
import { assertNear } from "./as-stored-places.ts";

describe("a published model", () => {
  it("computes what mlx-lm computes of it, alone and in a batch", async (context) => {
    const folder = await ensureRealModel("4bit").catch((error: Error) => {
      if (error instanceof RealModelMissing) return context.skip(error.message);
      throw error;
    });
    const { logitDifference, divergesAt } = await checkModel(folder);
    assert.isAtMost(logitDifference, 2e-3);
    assert.isUndefined(divergesAt, "greedy tokens");
  });

  it("says as it is stored, in bfloat16 and 4 bits, what it says in float32", async (context) => {
    if (mx.binding !== "own") context.skip("node-mlx multiplies float32 alone on a CPU");
    const folder = await ensureRealModel("4bit").catch((error: Error) => {
      if (error instanceof RealModelMissing) return context.skip(error.message);
      throw error;
    });
    // One prompt: MLX has no fast products of 16 bits on a CPU.
    await assertNear(folder, { difference: 0.12, same: 1 }, 1);
  });
});
