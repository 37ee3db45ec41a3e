/** Scaled dot-product attention over a batch cache. */
import { device, mx, type Tensor } from "./mlx.ts";

/**
 * @param queries [rows, heads, tokens, headDim]
 * @param keys [rows, kvHeads, capacity, headDim], and so the values
 * @param mask added to the scores, [rows, 1, tokens, capacity]
 * @returns [rows, tokens, heads * headDim]
 */
export const attend = (queries: Tensor, keys: Tensor, values: Tensor, scale: number, mask: Tensor): Tensor => {
  const [rows = 0, heads = 0, tokens = 0, headDim = 0] = queries.shape;
  const [, kvHeads = 0, capacity = 0] = keys.shape;
  const groups = heads / kvHeads;
  if (tokens === 1 && groups > 1) {
    // The heads of a group share keys: as rows of one product they take one pass over the cache.
    const grouped = queries.reshape(rows, kvHeads, groups, headDim);
    return mx.fast.scaledDotProductAttention(grouped, keys, values, scale, mask).reshape(rows, 1, heads * headDim);
  }
  // MLX's CPU path splits the heads into groups but leaves the mask as it is.
  const fitting = device === "cpu" && groups > 1 ? mask.reshape(rows, 1, 1, tokens, capacity) : mask;
  const attended = mx.fast.scaledDotProductAttention(queries, keys, values, scale, fitting);
  return attended.transpose(0, 2, 1, 3).reshape(rows, tokens, heads * headDim);
};
