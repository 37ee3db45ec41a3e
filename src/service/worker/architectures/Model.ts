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
  /** `embed` and `forwardEmbedded`: of int32 [rows, tokens], the next ones of each row. */
  readonly forward: (tokens: Tensor, cache: KVCache) => Tensor;
  /** int32 [rows, tokens] to what the first layer takes, [rows, tokens, hiddenSize]. */
  readonly embed: (tokens: Tensor) => Tensor;
  /**
   * Runs embeddings through the layers and appends their keys and values to the cache.
   *
   * @param embedded [rows, tokens, hiddenSize], of tokens or of anything else that the model was trained to read
   * @param positions float32 [rows, tokens], or [positions, rows, tokens] where a token has several; by default they are
   * the tokens' places in their sequences
   * @returns hidden states [rows, tokens, hiddenSize], normalised
   */
  readonly forwardEmbedded: (embedded: Tensor, cache: KVCache, positions?: Tensor) => Tensor;
  /**
   * @param hidden [rows, hiddenSize]
   * @returns float32 [rows, vocabularySize]
   */
  readonly logits: (hidden: Tensor) => Tensor;
  /** Query heads of a layer, at most: what a prefill computes at once grows with them. */
  readonly attentionHeads: number;
  /**
   * Where its attention is written out and not MLX's own: how many times as many arrays of scores are there at once as with
   * the two of a plain softmax. @default undefined, for MLX's own
   */
  readonly scoreArrays?: number;
  /** Which its rows compute with is said before `forward`; it holds for the `logits` of these rows as well. */
  readonly adapters: Adapters;
}

/** What an architecture says of it; the rest comes with its linear layers. */
export interface Network extends Omit<Model, "adapters" | "attentionHeads" | "cacheShape" | "forward"> {
  readonly cacheShape: Omit<CacheShape, "type">;
}

/** Builds a model; throws LoadError for a config or tensors that do not fit. It takes every tensor that it knows. */
export type CreateModel = (config: ModelConfig, weights: Weights) => Promise<Network>;
