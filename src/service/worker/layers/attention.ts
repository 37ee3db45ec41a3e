/** Scaled dot-product attention over a batch cache. */
import { type AttentionMask, mx, type Tensor } from "../mlx.ts";

/** [rows, tokens, heads * headDim] to [rows, tokens, heads, headDim]. */
export const toHeads = (x: Tensor, headDim: number): Tensor => {
  const [rows = 0, tokens = 0, size = 0] = x.shape;
  return x.reshape(rows, tokens, size / headDim, headDim);
};

/**
 * @param queries [rows, heads, tokens, headDim]
 * @param keys [rows, kvHeads, columns, headDim], and so the values
 * @param mask a tensor is [rows, 1, tokens, columns]
 * @returns [rows, tokens, heads * headDim], in the type of the queries
 */
export const attend = (
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  scale: number,
  mask: AttentionMask,
  sinks?: Tensor,
): Tensor => {
  const [rows = 0, heads = 0, tokens = 0, headDim = 0] = queries.shape;
  const [, kvHeads = 0] = keys.shape;
  const groups = heads / kvHeads;
  if (mx.binding === "node-mlx" && tokens === 1 && groups > 1) {
    // The heads of a group share keys: as rows of one product they read the cache once.
    const grouped = queries.reshape(rows, kvHeads, groups, headDim);
    return mx.fast.scaledDotProductAttention(grouped, keys, values, scale, mask).reshape(rows, 1, heads * headDim);
  }
  return mx.fast
    .scaledDotProductAttention(queries, keys, values, scale, fitting(mask, groups), sinks)
    .transpose(0, 2, 1, 3)
    .reshape(rows, tokens, heads * headDim);
};

/** node-mlx's MLX splits the heads into groups but does not split the mask. */
const fitting = (mask: AttentionMask, groups: number): AttentionMask => {
  if (mx.binding !== "node-mlx" || groups === 1 || mask === undefined || mask === "causal") return mask;
  const [rows = 0, , tokens = 0, columns = 0] = mask.shape;
  return mask.reshape(rows, 1, 1, tokens, columns);
};

/** Variants of attention that MLX's own kernel does not support. */
export interface AttentionVariant {
  /** Scores are soft-capped below this value: Gemma 2. */
  readonly softcap?: number;
  /** A score for each head that takes part in the softmax and contributes no value, [heads]: gpt-oss. */
  readonly sinks?: Tensor;
}

/**
 * Like `attend`, written out for variants that MLX does not support. The score matrix has columns before queries, so
 * that the product needs no transposed handle on the cache, which would turn every write to it into a copy.
 */
export const attendVariant = (
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  scale: number,
  mask: AttentionMask,
  { softcap, sinks }: AttentionVariant,
): Tensor => {
  const [rows = 0, heads = 0, tokens = 0, headDim = 0] = queries.shape;
  const [, kvHeads = 0, columns = 0] = keys.shape;
  const groups = heads / kvHeads;
  if (mx.binding === "own" && softcap === undefined) return attend(queries, keys, values, scale, mask, sinks);
  const grouped = mx.multiply(queries, scale).reshape(rows, kvHeads, groups * tokens, headDim);
  const products = mx.matmul(keys, grouped.transpose(0, 1, 3, 2).astype(keys.dtype));
  // In 16 bits a sum of thousands of weights would be inexact.
  const exact = products.astype(mx.float32);
  const bent = softcap === undefined ? exact : mx.multiply(mx.tanh(mx.divide(exact, softcap)), softcap);
  const unmasked = bent.reshape(rows, kvHeads, columns, groups, tokens);
  const added = mask === "causal" ? causalMask(tokens, columns) : mask?.transpose(0, 1, 3, 2);
  const scores = added === undefined ? unmasked : mx.add(unmasked, added.reshape(-1, 1, columns, 1, tokens));
  const sink = sinks?.reshape(1, kvHeads, 1, groups, 1);
  const best = mx.max(scores, 2, true);
  const top = sink === undefined ? best : mx.maximum(best, sink);
  const shares = mx.exp(mx.subtract(scores, top));
  const sum = mx.sum(shares, 2, true);
  const total = sink === undefined ? sum : mx.add(sum, mx.exp(mx.subtract(sink, top)));
  const weights = mx.divide(shares, total).reshape(rows, kvHeads, columns, groups * tokens);
  const attended = mx
    .matmul(weights.transpose(0, 1, 3, 2).astype(values.dtype), values)
    .reshape(rows, heads, tokens, headDim);
  return attended
    .transpose(0, 2, 1, 3)
    .reshape(rows, tokens, heads * headDim)
    .astype(queries.dtype);
};

/** [1, 1, columns, tokens]: the queries belong to the last columns. */
const causalMask = (tokens: number, columns: number): Tensor => {
  const keys = mx.arange(0, columns, 1, mx.float32).reshape(1, 1, columns, 1);
  const queries = mx.arange(columns - tokens, columns, 1, mx.float32).reshape(1, 1, 1, tokens);
  return mx.where(mx.lessEqual(keys, queries), 0, Number.NEGATIVE_INFINITY);
};
