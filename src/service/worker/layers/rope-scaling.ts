/**
 * Scaled rotary embeddings, which extend models beyond the length that they were trained for.
 *
 * Everything is computed in 32 bits, step by step as in mlx-lm: an angle is a position times a frequency, so at far
 * positions the last digit of a frequency matters.
 */
import type { ModelConfig } from "../files/model-config.ts";

export interface ScaledRope {
  /** Positions per radian. */
  readonly periods: ReadonlyArray<number>;
  /** Factor for rotated elements. @default 1 */
  readonly scale?: number;
}

const { fround } = Math;

/**
 * Llama 3.1's scaling: long periods are multiplied by `factor`, short ones stay, those in between are interpolated.
 * Source: the reference implementation in Meta's llama-models, `apply_scaling`.
 */
export const llama3 = (scaling: ModelConfig, plain: ReadonlyArray<number>): ScaledRope => {
  const factor = scaling.positive("factor");
  const low = scaling.positive("low_freq_factor", 1);
  const high = scaling.positive("high_freq_factor", 4);
  const original = scaling.count("original_max_position_embeddings", 8192);
  const turn = fround(2 * Math.PI);
  return {
    periods: plain.map((period) => {
      const wavelength = fround(turn * period);
      if (wavelength < fround(original / high)) return period;
      if (wavelength > fround(original / low)) return fround(period * factor);
      const smooth = fround(fround(fround(original / wavelength) - low) / fround(high - low));
      return fround(period / fround(fround(fround(1 - smooth) / factor) + smooth));
    }),
  };
};

/**
 * YaRN: Peng et al. 2023 (arXiv:2309.00071). Dimensions that rotate often within the original length stay, those that
 * hardly rotate are scaled by `factor`, with a ramp in between. As in mlx-lm, the ends of the ramp are whole
 * dimensions, whatever `truncate` says, and `attention_factor` is ignored.
 */
export const yarn = (scaling: ModelConfig, plain: ReadonlyArray<number>, theta: number): ScaledRope => {
  const factor = scaling.positive("factor");
  const original = scaling.count("original_max_position_embeddings", 4096);
  const dims = 2 * plain.length;
  /** The dimension that rotates this many times over the original length. */
  const dimensionOf = (turns: number) => (dims * Math.log(original / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(dimensionOf(scaling.positive("beta_fast", 32))), 0);
  const high = Math.min(Math.ceil(dimensionOf(scaling.positive("beta_slow", 1))), dims - 1);
  const width = high === low ? 0.001 : high - low;
  const scaleOf = (weight: number) => (factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1);
  return {
    periods: plain.map((period, i) => {
      const stretched = fround(period * factor);
      const kept = fround(1 - Math.min(Math.max(fround((i - low) / width), 0), 1));
      const blend = fround(fround(stretched * kept) + fround(period * fround(1 - kept)));
      return fround(fround(stretched * period) / blend);
    }),
    scale: scaleOf(scaling.number("mscale", 1)) / scaleOf(scaling.number("mscale_all_dim", 0)),
  };
};

/**
 * LongRoPE: Ding et al. 2024 (arXiv:2402.13753). A factor for each dimension; as in mlx-lm, the long factors are used
 * at any length.
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
    periods: plain.map((period, i) => fround(fround(factors[i] ?? 1) * period)),
    scale: stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original)),
  };
};
