/** What a loaded model takes of the memory budget. */
import type { EngineSettings } from "../config/EngineConfig.ts";
import type { ModelFacts } from "../domain/model.ts";
import { adapterBytes } from "./adapters.ts";

/** Bytes. */
export interface Footprint {
  /** With those of a model that drafts for it. */
  readonly weightBytes: number;
  /** Of both caches when they are full; one of a draft model is within it. */
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** Of those that are loaded at once. */
  readonly adapterBytes: number;
  /** The engine's process beside these: Node, MLX, and what a step computes in between. */
  readonly processBytes: number;
  /** The sum. */
  readonly neededBytes: number;
}

type EngineLimits = Pick<EngineSettings, "kvCacheBytes" | "prefixCacheBytes" | "maxAdapters">;

/**
 * Measured with the demo model on a Linux CPU: 107 MiB once it is loaded, and a peak of 280 MiB with 32 generations at
 * once, of which 60 MiB were KV cache and 8 MiB weights. A larger model's steps may take more.
 */
const processBytes = 256 * 1024 ** 2;

/** @param draft undefined: none drafts for it */
export const footprintOf = (
  { estimatedBytes, adapters }: Pick<ModelFacts, "estimatedBytes" | "adapters">,
  draft: Pick<ModelFacts, "estimatedBytes"> | undefined,
  { kvCacheBytes, prefixCacheBytes, maxAdapters }: EngineLimits,
): Footprint => {
  const parts = {
    weightBytes: estimatedBytes + (draft?.estimatedBytes ?? 0),
    kvCacheBytes,
    prefixCacheBytes,
    adapterBytes: adapterBytes(adapters, maxAdapters),
    processBytes,
  };
  return { ...parts, neededBytes: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
};
