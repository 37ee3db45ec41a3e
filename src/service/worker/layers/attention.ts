/** Scaled dot-product attention over a batch cache. */
import { mx, type Tensor } from "../mlx.ts";

/** [rows, tokens, heads * headDim] to [rows, tokens, heads, headDim]. */
export const toHeads = (x: Tensor, headDim: number): Tensor => {
  const [rows = 0, tokens = 0, size = 0] = x.shape;
  return x.reshape(rows, tokens, size / headDim, headDim);
};

/**
 * @param queries [rows, heads, tokens, headDim]
 * @param keys [rows, kvHeads, capacity, headDim], and so the values
 * @param mask added to the scores, [rows, 1, tokens, capacity]
 * @returns [rows, tokens, heads * headDim], in the type of the queries
 */
export const attend = (queries: Tensor, keys: Tensor, values: Tensor, scale: number, mask: Tensor): Tensor => {
  const [rows = 0, heads = 0, tokens = 0, headDim = 0] = queries.shape;
  const [, kvHeads = 0, capacity = 0] = keys.shape;
  const groups = heads / kvHeads;
  if (tokens === 1 && groups > 1) {
    // The heads of a group share keys: as rows of one product they take one pass over the cache.
    const grouped = queries.reshape(rows, kvHeads, groups, headDim);
    const attended = mx.fast.scaledDotProductAttention(grouped, keys, values, scale, mask);
    return attended.reshape(rows, 1, heads * headDim).astype(queries.dtype);
  }
  // node-mlx's MLX splits the heads into groups but leaves the mask as it is.
  const fitting = mx.binding === "node-mlx" && groups > 1 ? mask.reshape(rows, 1, 1, tokens, capacity) : mask;
  const attended = mx.fast.scaledDotProductAttention(queries, keys, values, scale, fitting);
  return attended
    .transpose(0, 2, 1, 3)
    .reshape(rows, tokens, heads * headDim)
    .astype(queries.dtype);
};

/** What some architectures do to attention and MLX's own does not know. */
export interface AttentionVariant {
  /** Scores are bent to stay below it: Gemma 2. */
  readonly softcap?: number;
  /** A score for each head that takes its share and brings no value, [heads]: gpt-oss. */
  readonly sinks?: Tensor;
}

/**
 * The same as `attend`, written out where MLX does not know the variant. Scores have the cache's columns before the queries: so the product needs no
 * transposed handle on the cache, which would make every write to it a copy.
 */
export const attendVariant = (
  queries: Tensor,
  keys: Tensor,
  values: Tensor,
  scale: number,
  mask: Tensor,
  { softcap, sinks }: AttentionVariant,
): Tensor => {
  const [rows = 0, heads = 0, tokens = 0, headDim = 0] = queries.shape;
  const [, kvHeads = 0, capacity = 0] = keys.shape;
  const groups = heads / kvHeads;
  if (mx.binding === "own" && softcap === undefined) {
    return mx.fast
      .scaledDotProductAttention(queries, keys, values, scale, mask, sinks)
      .transpose(0, 2, 1, 3)
      .reshape(rows, tokens, heads * headDim);
  }
  const grouped = mx.multiply(queries, scale).reshape(rows, kvHeads, groups * tokens, headDim);
  const products = mx.matmul(keys, grouped.transpose(0, 1, 3, 2).astype(keys.dtype));
  // In 16 bits a sum of thousands of shares would be off.
  const exact = products.astype(mx.float32);
  const bent = softcap === undefined ? exact : mx.multiply(mx.tanh(mx.divide(exact, softcap)), softcap);
  const masks = mask.transpose(0, 1, 3, 2).reshape(rows, 1, capacity, 1, tokens);
  const scores = mx.add(bent.reshape(rows, kvHeads, capacity, groups, tokens), masks);
  const sink = sinks?.reshape(1, kvHeads, 1, groups, 1);
  const best = mx.max(scores, 2, true);
  const top = sink === undefined ? best : mx.maximum(best, sink);
  const shares = mx.exp(mx.subtract(scores, top));
  const sum = mx.sum(shares, 2, true);
  const total = sink === undefined ? sum : mx.add(sum, mx.exp(mx.subtract(sink, top)));
  const weights = mx.divide(shares, total).reshape(rows, kvHeads, capacity, groups * tokens);
  const attended = mx
    .matmul(weights.transpose(0, 1, 3, 2).astype(values.dtype), values)
    .reshape(rows, heads, tokens, headDim);
  return attended
    .transpose(0, 2, 1, 3)
    .reshape(rows, tokens, heads * headDim)
    .astype(queries.dtype);
};
