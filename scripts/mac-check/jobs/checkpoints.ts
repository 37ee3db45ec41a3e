/** Whole models: against what mlx-lm computed, and against themselves. */
import { checkModel } from "../../parity/check-model.ts";
import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { checkAgainstItself } from "../../../src/service/worker/self-check.ts";
import type { WeightsForm } from "../../../src/service/worker/weights/weights.ts";

export interface CheckpointInput {
  readonly folder: string;
  readonly form: WeightsForm;
}

export const compareWithGolden = async ({ folder, form }: CheckpointInput) => {
  const { logitDifference, divergesAt } = await checkModel(folder, form);
  return { logitDifference, divergesAt: divergesAt ?? "nowhere" };
};

/** Alone, in a batch, at once and token by token; throws where these differ. */
export const checkLoaded = async ({ folder, form }: CheckpointInput): Promise<void> =>
  checkAgainstItself(await loadCheckpoint(folder, form));
