import { assert, describe, it } from "@effect/vitest";

import { checkModel } from "../../../scripts/parity/check-model.ts";
import { ensureRealModel, RealModelMissing } from "../../../scripts/real-model/ensure.ts";

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
});
