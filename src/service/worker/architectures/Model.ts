/** What an architecture is to the rest of the worker. */
import type { Adapters } from "../adapters/adapters.ts";
import type { CacheShape } from "../cache/cache-size.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import type { Weights } from "../weights/weights.ts";

export interface Model {
  readonly cacheShape: CacheShape;
  readonly vocabularySize: number;
  /**
   * Runs tokens through the layers and appends their keys and values to the cache.
   *
   * @param tokens int32 [rows, tokens], the next ones of each row
   * @returns hidden states [rows, tokens, hiddenSize], normalised
   */
  readonly forward: (tokens: Tensor, cache: KVCache) => Tensor;
  /**
   * @param hidden [rows, hiddenSize]
   * @returns float32 [rows, vocabularySize]
   */
  readonly logits: (hidden: Tensor) => Tensor;
  /** Query heads of a layer, at most: what a prefill computes at once grows with them. */
  readonly attentionHeads: number;
  /** Which its rows compute with is said before `forward`; it holds for the `logits` of these rows as well. */
  readonly adapters: Adapters;
}

/** What an architecture says of it; the rest comes with its linear layers. */
export interface Network extends Omit<Model, "adapters" | "attentionHeads" | "cacheShape"> {
  readonly cacheShape: Omit<CacheShape, "type">;
}

/** Builds a model; throws LoadError for a config or tensors that do not fit. It takes every tensor that it knows. */
export type CreateModel = (config: ModelConfig, weights: Weights) => Promise<Network>;
