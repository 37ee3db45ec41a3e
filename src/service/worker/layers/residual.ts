/** What layers add up between them. */
import { mx, type Tensor } from "../mlx.ts";

/**
 * The sum of both, which in float16 stays at the largest number there is: Gemma 3 was trained in bfloat16, whose range is
 * that of float32, and its residuals outgrow float16. As mlx-lm does it.
 */
export const addResidual = (x: Tensor, y: Tensor): Tensor => {
  if (x.dtype !== mx.float16) return mx.add(x, y);
  const sum = mx.add(x.astype(mx.float32), y.astype(mx.float32));
  return mx.maximum(mx.minimum(sum, largestFloat16), -largestFloat16).astype(mx.float16);
};

const largestFloat16 = 65_504;
