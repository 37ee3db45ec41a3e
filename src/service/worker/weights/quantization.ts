/**
 * Determines which tensors of a checkpoint are quantised and how, from `quantization` in config.json and the tensors'
 * shapes.
 */
import { LoadError } from "../files/load-error.ts";
import type { ModelConfig } from "../files/model-config.ts";
import type { QuantizationMode } from "../mlx.ts";

export interface Quantization {
  readonly mode: QuantizationMode;
  /** How many weights share a scale. */
  readonly groupSize: number;
  readonly bits: number;
}

/** The sizes of a layer's stored tensors. */
interface StoredSizes {
  /** Numbers in a row of the matrix. */
  readonly inputs: number;
  /** 32-bit words that hold a row. */
  readonly words: number;
  readonly scales: number;
  /** Only affine scales are numbers of 16 or 32 bits. */
  readonly hasByteScales: boolean;
}

/** By a layer's path, e.g. `model.layers.0.mlp.down_proj`; undefined if it is not quantised. */
export type QuantizationOf = (path: string, stored: StoredSizes) => Quantization | undefined;

/** Throws LoadError, here or in the result, for an unsupported quantisation. */
export const readQuantization = (config: ModelConfig): QuantizationOf => {
  const section = config.section("quantization") ?? config.section("quantization_config");
  if (section === undefined) return () => undefined;
  const method = methodOf(section);
  const common = (path: string): Quantization => method ?? readSettings(section, path, undefined);
  return (path, stored) => {
    const own = section.override(path);
    if (own === false) return undefined;
    if (own !== undefined) return readSettings(own, path, 64);
    // A layer without settings of its own may still be stored differently from the others.
    return section.has(path) ? common(path) : (inferred(path, stored) ?? common(path));
  };
};

const readSettings = (settings: ModelConfig, path: string, groupSize: number | undefined): Quantization => {
  const mode = settings.string("mode", "affine");
  if (!isMode(mode))
    throw new LoadError(`${path} is quantised as ${mode}, which is not supported; known: ${modeNames}`);
  const fixed = fixedSizes[mode];
  const read = {
    mode,
    bits: settings.count("bits", fixed?.bits ?? (groupSize === undefined ? undefined : 4)),
    groupSize: settings.count("group_size", fixed?.groupSize ?? groupSize),
  };
  return known(path, read);
};

/** Throws LoadError for an unsupported number of bits. */
const known = (path: string, { mode, bits, groupSize }: Quantization): Quantization => {
  const fixed = fixedSizes[mode];
  if (fixed === undefined ? !affineBits.includes(bits) : bits !== fixed.bits) {
    const supported = fixed === undefined ? affineBits.join(", ") : `${fixed.bits} of ${mode}`;
    throw new LoadError(`${path} is quantised to ${bits} bits, which is not supported; known: ${supported}`);
  }
  if (fixed === undefined && !affineGroups.includes(groupSize)) {
    throw new LoadError(
      `${path} is quantised in groups of ${groupSize}, which is not supported; known: ${affineGroups.join(", ")}`,
    );
  }
  if (fixed !== undefined && groupSize !== fixed.groupSize) {
    throw new LoadError(
      `${path} is quantised as ${mode} in groups of ${groupSize}, they must be of ${fixed.groupSize}`,
    );
  }
  return { mode, bits, groupSize };
};

/** Inferred as in mlx-lm; undefined if the shapes do not fit together, which is reported when they are checked. */
const inferred = (path: string, { inputs, words, scales, hasByteScales }: StoredSizes): Quantization | undefined => {
  const bits = (words * 32) / inputs;
  const groupSize = inputs / scales;
  if (!Number.isInteger(bits) || !Number.isInteger(groupSize)) return undefined;
  if (!hasByteScales) return known(path, { mode: "affine", bits, groupSize });
  const mode = modes.find((name) => fixedSizes[name]?.bits === bits && fixedSizes[name].groupSize === groupSize);
  if (mode !== undefined) return { mode, bits, groupSize };
  throw new LoadError(`${path} is quantised to ${bits} bits in groups of ${groupSize}, which is not supported`);
};

/** The method of another quantiser by its `quant_method`; undefined for MLX's own settings. */
const methodOf = (settings: ModelConfig): Quantization | undefined => {
  if (!settings.has("quant_method")) return undefined;
  const method = settings.string("quant_method");
  const fixed = method === "mxfp4" || method === "mxfp8" ? fixedSizes[method] : undefined;
  if (fixed !== undefined && isMode(method)) return { mode: method, ...fixed };
  throw new LoadError(
    `config.json: quantization_config.quant_method "${method}" is not supported; ` +
      "convert the checkpoint to MLX's affine quantisation",
  );
};

const affineBits: ReadonlyArray<number> = [2, 3, 4, 5, 6, 8];
/**
 * MLX writes no others, and on a GPU a product with another group size ends the process, because there is no kernel.
 */
const affineGroups: ReadonlyArray<number> = [32, 64, 128];

const fixedSizes: Readonly<Record<QuantizationMode, Omit<Quantization, "mode"> | undefined>> = {
  affine: undefined,
  mxfp4: { bits: 4, groupSize: 32 },
  mxfp8: { bits: 8, groupSize: 32 },
  nvfp4: { bits: 4, groupSize: 16 },
};

const modes = ["affine", "mxfp4", "mxfp8", "nvfp4"] as const;
const modeNames = modes.join(", ");
const isMode = (name: string): name is QuantizationMode => Object.hasOwn(fixedSizes, name);
