/** How much of the memory budget a loaded model needs. */
import type { EngineSettings } from "../../config/EngineConfig.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { adapterBytes } from "../files/adapters.ts";

/** All sizes are in bytes. */
export interface Footprint {
  /** Includes the weights of its draft model. */
  readonly weightBytes: number;
  /** Both caches when full; the draft model's cache is part of it. */
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** As many adapters as are loaded at once. */
  readonly adapterBytes: number;
  /** Temporaries of a step: attention scores of a long prompt's slice, activations, logits, masks. */
  readonly stepBytes: number;
  /** The engine's process apart from these: Node, MLX, and the allocator's overhead. */
  readonly processBytes: number;
  /** The sum. While the process runs its memory is measured, and counts if it is larger. */
  readonly neededBytes: number;
}

/** For a model whose memory is on another server. */
export const noFootprint: Footprint = {
  weightBytes: 0,
  kvCacheBytes: 0,
  prefixCacheBytes: 0,
  adapterBytes: 0,
  stepBytes: 0,
  processBytes: 0,
  neededBytes: 0,
};

type EngineLimits = Pick<EngineSettings, "kvCacheBytes" | "prefixCacheBytes" | "maxAdapters" | "maxRunning">;

/**
 * Measured with the demo model on a Linux CPU: 107 MiB after loading, and a peak of 280 MiB with 32 concurrent
 * generations, of which 60 MiB were KV cache and 8 MiB weights.
 */
const processBytes = 256 * 1024 ** 2;

/** @param draft undefined if it has no draft model */
export const footprintOf = (
  facts: Pick<ModelFacts, "estimatedBytes" | "adapters" | "contextLength" | "vocabularySize" | "widths">,
  draft: Pick<ModelFacts, "estimatedBytes"> | undefined,
  { kvCacheBytes, prefixCacheBytes, maxAdapters, maxRunning }: EngineLimits,
): Footprint => {
  const parts = {
    weightBytes: facts.estimatedBytes + (draft?.estimatedBytes ?? 0),
    kvCacheBytes,
    prefixCacheBytes,
    adapterBytes: adapterBytes(facts.adapters, maxAdapters),
    stepBytes: stepBytesOf(facts, maxRunning),
    processBytes,
  };
  return { ...parts, neededBytes: Object.values(parts).reduce((sum, bytes) => sum + bytes, 0) };
};

/**
 * Follows the bounds of the worker's scheduler: a slice has at most 1,024 tokens and 256 MiB of attention scores. Each
 * array exists twice at most, as the input and the result of an operation; logits exist four times, because penalties,
 * masks and filters are applied to copies. Masks of constraints are cached for 64 states.
 */
const stepBytesOf = (
  { contextLength, vocabularySize, widths }: Pick<ModelFacts, "contextLength" | "vocabularySize" | "widths">,
  maxRunning: number,
): number => {
  if (widths === undefined) return 0;
  const { hidden, intermediate, attentionHeads } = widths;
  const scoreBytes = Math.min(maxScoreBytes, bytesPerFloat * attentionHeads * sliceTokens * contextLength);
  const activationBytes = bytesPerFloat * sliceTokens * (4 * hidden + 2 * intermediate);
  const logitBytes = 4 * bytesPerFloat * maxRunning * vocabularySize;
  return 2 * scoreBytes + 2 * activationBytes + logitBytes + 64 * vocabularySize;
};

const bytesPerFloat = 4;
const sliceTokens = 1024;
const maxScoreBytes = 256 * 1024 ** 2;
