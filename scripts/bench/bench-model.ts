/** The models that are measured: random ones of two sizes, and a published one. */
import { ensureRealModel } from "../real-model/ensure.ts";
import { type CheckpointShape, demoEndTokenIds, ensureCheckpoint } from "./checkpoints.ts";

export interface BenchModel {
  readonly name: string;
  /** Its folder; made where it is not there. */
  readonly ensure: () => Promise<string>;
  /** Ids that end a sequence, which both sides are told not to choose. */
  readonly endTokenIds: ReadonlyArray<number>;
}

export const randomModel = (shape: CheckpointShape): BenchModel => ({
  name: shape.name,
  ensure: async () => ensureCheckpoint(shape),
  endTokenIds: demoEndTokenIds,
});

/** In float32, which both sides compute in. */
export const realModel: BenchModel = {
  name: "SmolLM2-135M",
  ensure: () => ensureRealModel("float32"),
  endTokenIds: [0, 2], // <|endoftext|>, <|im_end|>
};
