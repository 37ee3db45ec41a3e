/** How models are made to reach further than they were trained for: rotary frequencies, stretched. */
import type { ModelConfig } from "./model-config.ts";

export interface ScaledRope {
  /** Radians per position. */
  readonly frequencies: ReadonlyArray<number>;
  /** What rotated elements are multiplied with. @default 1 */
  readonly scale?: number;
}

/**
 * Llama 3.1's stretch: long wavelengths are divided by `factor`, short ones stay, those between are blended.
 * Source: the reference implementation in Meta's llama-models, `apply_scaling`.
 */
export const llama3Frequency = (scaling: ModelConfig): ((frequency: number) => number) => {
  const factor = scaling.positive("factor");
  const low = scaling.positive("low_freq_factor", 1);
  const high = scaling.positive("high_freq_factor", 4);
  const original = scaling.count("original_max_position_embeddings", 8192);
  return (frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    const smooth = (original / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  };
};

/**
 * YaRN: Peng et al. 2023 (arXiv:2309.00071). Dimensions that turn often within the original length stay, those that turn
 * hardly are divided by `factor`, a ramp between. The ramp's ends are whole dimensions, whatever `truncate` says, and
 * `attention_factor` is not read: as mlx-lm has it.
 */
export const yarn = (scaling: ModelConfig, plain: ReadonlyArray<number>, theta: number): ScaledRope => {
  const factor = scaling.positive("factor");
  const original = scaling.count("original_max_position_embeddings", 4096);
  const dims = 2 * plain.length;
  /** The dimension that turns so many times over the original length. */
  const dimensionOf = (turns: number) => (dims * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(dimensionOf(scaling.positive("beta_fast", 32))), 0);
  const high = Math.min(Math.ceil(dimensionOf(scaling.positive("beta_slow", 1))), dims - 1);
  const width = high === low ? 0.001 : high - low;
  const scaleOf = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  return {
    frequencies: plain.map((frequency, i) => {
      const stretched = Math.min(Math.max((i - low) / width, 0), 1);
      return (1 - stretched) * frequency + (stretched * frequency) / factor;
    }),
    scale: scaleOf(scaling.number("mscale", 1)) / scaleOf(scaling.number("mscale_all_dim", 0)),
  };
};

/**
 * LongRoPE: Ding et al. 2024 (arXiv:2402.13753). A factor for each dimension; as in mlx-lm the long ones, at any length.
 */
export const longRope = (
  config: ModelConfig,
  scaling: ModelConfig,
  plain: ReadonlyArray<number>,
  originalLength: number | undefined,
): ScaledRope => {
  const factors = scaling.numbers("long_factor");
  if (factors.length !== plain.length) throw scaling.wrong("long_factor", `a list of ${plain.length} numbers`);
  const key = "original_max_position_embeddings";
  const original = originalLength ?? (scaling.has(key) ? scaling.count(key) : config.count(key, 4096));
  const stretch = config.count("max_position_embeddings", 131_072) / original;
  return {
    frequencies: plain.map((frequency, i) => frequency / (factors[i] ?? 1)),
    scale: stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original)),
  };
};
