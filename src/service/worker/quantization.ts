/** Which tensors of a checkpoint are quantised and how, as `quantization` of config.json says: MLX's affine form. */
import { LoadError } from "./load-error.ts";
import type { ModelConfig } from "./model-config.ts";

export interface Quantization {
  /** Weights that share a scale and a bias. */
  readonly groupSize: number;
  readonly bits: number;
}

/** By a layer's path, e.g. `model.layers.0.mlp.down_proj`; undefined for one that is not quantised. */
export type QuantizationOf = (path: string) => Quantization | undefined;

/** Throws LoadError, also later, for a quantisation that MLX cannot undo here. */
export const readQuantization = (config: ModelConfig): QuantizationOf => {
  const common = config.section("quantization") ?? foreign(config.section("quantization_config"));
  if (common === undefined) return () => undefined;
  return (path) => {
    const own = common.override(path);
    if (own === false) return undefined;
    const settings = own ?? common;
    const mode = settings.string("mode", "affine");
    if (mode !== "affine")
      throw new LoadError(`${path} is quantised as ${mode}, which is not supported; known: affine`);
    const bits = settings.count("bits", own === undefined ? undefined : 4);
    if (!knownBits.includes(bits)) {
      throw new LoadError(
        `${path} is quantised to ${bits} bits, which is not supported; known: ${knownBits.join(", ")}`,
      );
    }
    return { groupSize: settings.count("group_size", own === undefined ? undefined : 64), bits };
  };
};

/** Others have no whole number of weights in 32 bits. */
const knownBits = [2, 4, 8];

/** `quantization_config` repeats MLX's settings, or tells of the methods of others. */
const foreign = (settings: ModelConfig | undefined): ModelConfig | undefined => {
  if (settings?.has("quant_method") !== true) return settings;
  throw new LoadError(
    `config.json: quantization_config.quant_method "${settings.string("quant_method")}" is not supported; ` +
      "convert the checkpoint to MLX's affine quantisation",
  );
};
