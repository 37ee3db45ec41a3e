/** Whole models: against what mlx-lm computed, and against themselves. */
import { checkModel } from "../../parity/check-model.ts";
import { loadCheckpoint } from "../../../src/service/worker/checkpoint.ts";
import { checkAgainstItself } from "../../../src/service/worker/self-check.ts";

export interface CheckpointInput {
  readonly folder: string;
  /** Weights in the form that the checkpoint has them in; otherwise in float32. */
  readonly asStored: boolean;
}

export const compareWithGolden = async ({ folder, asStored }: CheckpointInput) => {
  const { logitDifference, divergesAt } = await checkModel(folder, asStored);
  return { logitDifference, divergesAt: divergesAt ?? "nowhere" };
};

/** Alone, in a batch, at once and token by token; throws where these differ. */
export const checkLoaded = async ({ folder, asStored }: CheckpointInput): Promise<void> =>
  checkAgainstItself(await loadCheckpoint(folder, asStored));
