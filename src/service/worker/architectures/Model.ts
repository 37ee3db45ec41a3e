/** The interface of an architecture to the rest of the worker. */
import type { Adapters } from "../adapters/adapters.ts";
import type { CacheShape } from "../cache/cache-size.ts";
import type { KVCache } from "../cache/kv-cache.ts";
import type { Tensor } from "../mlx.ts";
import type { ModelConfig } from "../files/model-config.ts";
import type { Weights } from "../weights/weights.ts";

export interface Model {
  readonly cacheShape: CacheShape;
  readonly vocabularySize: number;
  /** `embed` followed by `forwardEmbedded`, for int32 [rows, tokens], the next tokens of each row. */
  readonly forward: (tokens: Tensor, cache: KVCache) => Tensor;
  /** int32 [rows, tokens] to the input of the first layer, [rows, tokens, hiddenSize]. */
  readonly embed: (tokens: Tensor) => Tensor;
  /**
   * Runs embeddings through the layers and appends their keys and values to the cache.
   *
   * @param embedded [rows, tokens, hiddenSize], of tokens or of any other input that the model was trained on
   * @param positions float32 [rows, tokens], or [positions, rows, tokens] if a token has several; @default the tokens'
   *   places in their sequences
   * @returns normalised hidden states [rows, tokens, hiddenSize]
   */
  readonly forwardEmbedded: (embedded: Tensor, cache: KVCache, positions?: Tensor) => Tensor;
  /**
   * @param hidden [rows, hiddenSize]
   * @returns float32 [rows, vocabularySize]
   */
  readonly logits: (hidden: Tensor) => Tensor;
  /** An upper bound of the query heads of a layer, which determines the memory of a prefill. */
  readonly attentionHeads: number;
  /**
   * If attention is written out instead of using MLX's kernel: how many times as many arrays of scores exist at once as
   * the two of a plain softmax. @default undefined, for MLX's kernel
   */
  readonly scoreArrays?: number;
  /** The adapters of its rows are chosen before `forward`; the choice also holds for the `logits` of these rows. */
  readonly adapters: Adapters;
}

/** The part that an architecture provides; the rest comes with its linear layers. */
export interface Network extends Omit<Model, "adapters" | "attentionHeads" | "cacheShape" | "forward"> {
  readonly cacheShape: Omit<CacheShape, "type">;
}

/** Builds a model. It takes every tensor that it knows. Throws LoadError for a config or tensors that do not fit. */
export type CreateModel = (config: ModelConfig, weights: Weights) => Promise<Network>;
