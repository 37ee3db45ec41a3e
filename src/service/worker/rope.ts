/**
 * Rotary position embedding with true positions for every row.
 *
 * MLX's fast.rope takes one offset for the whole batch and no frequencies of one's own, so cosines and sines are computed
 * once for a step and shared by all layers. The "half" layout of Hugging Face checkpoints: element i turns with i + dim/2.
 */
import { LoadError } from "./load-error.ts";
import { mx, type Tensor } from "./mlx.ts";
import type { ModelConfig } from "./model-config.ts";

/** Both [rows, tokens, 1, headDim], the sines with the sign of the rotation. */
export interface Rotation {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Inverse frequencies, float32 [headDim / 2], as `rope_theta` and `rope_scaling` of config.json say. */
export const ropeFrequencies = (config: ModelConfig, headDim: number): Tensor => {
  const theta = config.number("rope_theta", 10_000);
  const plain = Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  const scaling = config.section("rope_scaling");
  if (scaling === undefined) return mx.array(plain, mx.float32);
  const type = scaling.string("rope_type", scaling.string("type", "default"));
  switch (type) {
    case "default":
      return mx.array(plain, mx.float32);
    case "linear": {
      const factor = scaling.number("factor");
      return mx.array(
        plain.map((frequency) => frequency / factor),
        mx.float32,
      );
    }
    case "llama3":
      return mx.array(plain.map(llama3(scaling)), mx.float32);
    default:
      throw new LoadError(
        `config.json: rope_scaling.rope_type "${type}" is not supported; known: default, linear, llama3`,
      );
  }
};

/**
 * Llama 3.1's stretch: long wavelengths are divided by `factor`, short ones stay, those between are blended.
 * Source: the reference implementation in Meta's llama-models, `apply_scaling`.
 */
const llama3 = (scaling: ModelConfig): ((frequency: number) => number) => {
  const factor = scaling.number("factor");
  const low = scaling.number("low_freq_factor", 1);
  const high = scaling.number("high_freq_factor", 4);
  const original = scaling.number("original_max_position_embeddings", 8192);
  return (frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    const smooth = (original / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  };
};

/** @param positions float32 [rows, tokens] */
export const rotationAt = (positions: Tensor, frequencies: Tensor): Rotation => {
  const [rows = 0, tokens = 0] = positions.shape;
  const angles = mx.multiply(positions.reshape(rows, tokens, 1, 1), frequencies);
  const cos = mx.cos(angles);
  const sin = mx.sin(angles);
  return {
    cos: mx.concatenate([cos, cos], -1),
    sin: mx.concatenate([mx.multiply(sin, -1), sin], -1),
  };
};

/** @param x [rows, tokens, heads, headDim] */
export const rotate = (x: Tensor, { cos, sin }: Rotation): Tensor => {
  const [low, high] = mx.split(x, 2, -1);
  if (low === undefined || high === undefined) throw new RangeError("headDim must be even");
  return mx.add(mx.multiply(x, cos), mx.multiply(mx.concatenate([high, low], -1), sin));
};
