/** The activation functions of feed-forward layers. */
import { mx, type Tensor } from "../mlx.ts";

/** SwiGLU: Shazeer 2020, "GLU Variants Improve Transformer" (arXiv:2002.05202). */
export const swiglu = (gate: Tensor, up: Tensor): Tensor => mx.fast.swiglu(gate, up);

/** GEGLU of the same paper, with the tanh approximation of GELU. */
export const geglu = (gate: Tensor, up: Tensor): Tensor => {
  const cubed = mx.multiply(mx.multiply(gate, gate), gate);
  const inner = mx.multiply(mx.add(gate, mx.multiply(cubed, 0.044715)), Math.sqrt(2 / Math.PI));
  return mx.multiply(mx.multiply(mx.multiply(gate, 0.5), mx.add(mx.tanh(inner), 1)), up);
};

/** gpt-oss's variant: a steeper sigmoid, both sides clamped, and one added to the linear side. */
export const clampedSwiglu = (gate: Tensor, up: Tensor): Tensor => {
  const limit = 7;
  const clampedGate = mx.minimum(gate, limit);
  const clampedUp = mx.maximum(mx.minimum(up, limit), -limit);
  const activated = mx.multiply(clampedGate, mx.sigmoid(mx.multiply(clampedGate, 1.702)));
  return mx.multiply(activated, mx.add(clampedUp, 1));
};
