import type { TensorHeader } from "./safetensors.ts";

/** A matrix that a checkpoint stores with several weights in each word. */
interface PackedMatrix {
  readonly count: number;
  readonly bits: number;
  /** Whether its scales are 8-bit floats, as those of mxfp4 are. */
  readonly hasByteScales: boolean;
}

/**
 * The number of a checkpoint's weights. A quantised matrix X is stored as `X.weight`, with several weights in each
 * 32-bit word, and `X.scales` and usually `X.biases`, which do not count as weights; gpt-oss stores it as `X_blocks`
 * and `X_scales`.
 *
 * @param bitsOf bits of one weight, by the matrix's name without `.weight`
 */
export const countParameters = (
  tensors: ReadonlyMap<string, TensorHeader>,
  bitsOf: (name: string) => number,
): number => {
  let count = 0;
  for (const [name, header] of tensors) {
    if (isBesideMatrix(name, tensors)) continue;
    count += packedMatrix(name, header, tensors, bitsOf)?.count ?? elements(header);
  }
  return count;
};

/**
 * How many bytes of GPU memory the model takes beyond its files' size, for forms that the engine converts to 16-bit
 * floats.
 */
export const unpackedBytes = (tensors: ReadonlyMap<string, TensorHeader>, bitsOf: (name: string) => number): number => {
  let bytes = 0;
  for (const [name, header] of tensors) {
    const packed = packedMatrix(name, header, tensors, bitsOf);
    if (packed === undefined || (!packed.hasByteScales && keptBits.includes(packed.bits))) continue;
    bytes += packed.count * (2 - packed.bits / 8);
  }
  return bytes;
};

const keptBits = [2, 4, 8];

const elements = ({ shape }: TensorHeader): number => shape.reduce((product, size) => product * size, 1);

const isBesideMatrix = (name: string, tensors: ReadonlyMap<string, TensorHeader>): boolean => {
  const beside = /^(.*)(?:\.scales|\.biases|(_scales))$/.exec(name);
  if (beside === null) return false;
  const [, matrix = "", isOfBlocks] = beside;
  return isOfBlocks === undefined ? tensors.has(`${matrix}.scales`) : tensors.has(`${matrix}_blocks`);
};

const packedMatrix = (
  name: string,
  header: TensorHeader,
  tensors: ReadonlyMap<string, TensorHeader>,
  bitsOf: (name: string) => number,
): PackedMatrix | undefined => {
  if (name.endsWith("_blocks") && header.dtype === "U8") {
    return { count: 2 * elements(header), bits: 4, hasByteScales: true };
  }
  const matrix = name.endsWith(".weight") ? name.slice(0, -".weight".length) : undefined;
  const scales = matrix === undefined ? undefined : tensors.get(`${matrix}.scales`);
  if (matrix === undefined || scales === undefined) return undefined;
  const bits = bitsOf(matrix);
  return { count: (elements(header) * wordBits) / bits, bits, hasByteScales: scales.dtype === "U8" };
};

const wordBits = 32;
