/** The residual connections between layers. */
import { mx, type Tensor } from "../mlx.ts";

/**
 * Adds both; in float16 the sum saturates at the largest number. Gemma 3 was trained in bfloat16, which has the range
 * of float32, and its residuals exceed that of float16. mlx-lm does the same.
 */
export const addResidual = (x: Tensor, y: Tensor): Tensor => {
  if (x.dtype !== mx.float16) return mx.add(x, y);
  const sum = mx.add(x.astype(mx.float32), y.astype(mx.float32));
  return mx.maximum(mx.minimum(sum, largestFloat16), -largestFloat16).astype(mx.float16);
};

const largestFloat16 = 65_504;
