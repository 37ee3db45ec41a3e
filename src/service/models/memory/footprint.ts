/** What a loaded model takes of the memory budget. */
import type { EngineSettings } from "../../config/EngineConfig.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { adapterBytes } from "../files/adapters.ts";

/** Bytes. */
export interface Footprint {
  /** With those of a model that drafts for it. */
  readonly weightBytes: number;
  /** Of both caches when they are full; one of a draft model is within it. */
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** Of those that are loaded at once. */
  readonly adapterBytes: number;
  /** What a step computes in between: scores of a long prompt's slice, activations, logits, masks. */
  readonly stepBytes: number;
  /** The engine's process beside these: Node, MLX, and what its allocator keeps. */
  readonly processBytes: number;
  /** The sum. What the process really takes is measured while it runs, and counts where it is more. */
  readonly neededBytes: number;
}

/** Of a model whose engine has all that it needs elsewhere. */
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
 * Measured with the demo model on a Linux CPU: 107 MiB once it is loaded, and a peak of 280 MiB with 32 generations at
 * once, of which 60 MiB were KV cache and 8 MiB weights.
 */
const processBytes = 256 * 1024 ** 2;

/** @param draft undefined: none drafts for it */
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
 * As the worker's scheduler bounds it: a slice of at most 1,024 tokens, with at most 256 MiB of scores. Each is there
 * twice at the most, as an operation has its input and its result; logits are there four times, as penalties, masks and
 * filters are applied to copies. Masks of constraints are kept for 64 states.
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
