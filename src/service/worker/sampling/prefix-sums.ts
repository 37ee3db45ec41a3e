/** Prefix sums that are correct even if the GPU's own are not. */
import { mx, type Tensor } from "../mlx.ts";

/**
 * Inclusive, along the last axis. MLX before 0.29.2 lacks a barrier in its kernel for it: rarely, and under load, a sum
 * is wrong, and with it the sampled token.
 *
 * @param values float32 [rows, size]
 */
export const prefixSums = (values: Tensor): Tensor => (mx.hasSoundKernels ? mx.cumsum(values, -1) : byProducts(values));

/** Sums blocks of 256 by a product with a triangle of ones, and the blocks' totals in the same way. */
const byProducts = (values: Tensor): Tensor => {
  const [rows = 0, size = 0] = values.shape;
  const blocks = Math.ceil(size / blockSize);
  const padding = mx.zeros([rows, blocks * blockSize - size]);
  const padded = blocks * blockSize === size ? values : mx.concatenate([values, padding], -1);
  const within = mx.matmul(padded.reshape(rows * blocks, blockSize), triangle(blockSize, 0));
  const totals = mx.take(within, mx.array([blockSize - 1], mx.int32), -1).reshape(rows, blocks);
  const before = mx.matmul(totals, triangle(blocks, 1)).reshape(rows * blocks, 1);
  return mx
    .add(within, before)
    .reshape(rows, blocks * blockSize)
    .index("...", mx.Slice(0, size));
};

const blockSize = 256;

/** [size, size], with ones from this far right of the diagonal on. */
const triangle = (size: number, offset: number): Tensor => {
  const places = mx.arange(0, size, 1, mx.float32);
  return mx.lessEqual(mx.add(places.reshape(size, 1), offset), places.reshape(1, size)).astype(mx.float32);
};
