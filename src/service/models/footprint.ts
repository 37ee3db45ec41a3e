/** What a loaded model takes of the memory budget. */
import type { ModelFacts } from "../domain/model.ts";

/** Bytes. */
export interface Footprint {
  /** With those of a model that drafts for it. */
  readonly weightBytes: number;
  /** Of both caches when they are full; one of a draft model is within it. */
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** The engine's process beside these: Node, MLX, and what a step computes in between. */
  readonly processBytes: number;
  /** The sum. */
  readonly neededBytes: number;
}

/**
 * Measured with the demo model on a Linux CPU: 107 MiB once it is loaded, and a peak of 280 MiB with 32 generations at
 * once, of which 60 MiB were KV cache and 8 MiB weights. A larger model's steps may take more.
 */
const processBytes = 256 * 1024 ** 2;

/** @param draft undefined: none drafts for it */
export const footprintOf = (
  facts: Pick<ModelFacts, "estimatedBytes">,
  draft: Pick<ModelFacts, "estimatedBytes"> | undefined,
  { kvCacheBytes, prefixCacheBytes }: { readonly kvCacheBytes: number; readonly prefixCacheBytes: number },
): Footprint => {
  const weightBytes = facts.estimatedBytes + (draft?.estimatedBytes ?? 0);
  return {
    weightBytes,
    kvCacheBytes,
    prefixCacheBytes,
    processBytes,
    neededBytes: weightBytes + kvCacheBytes + prefixCacheBytes + processBytes,
  };
};
