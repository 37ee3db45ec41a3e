import type { TensorHeader } from "./safetensors.ts";

/**
 * How many weights a checkpoint stands for. A quantised matrix X is stored as `X.weight`, several weights in each 32-bit
 * word, with `X.scales` and mostly `X.biases`, which are none of the model's own weights.
 *
 * @param bitsOf bits of one weight, by the matrix's name without `.weight`
 */
export const countParameters = (
  tensors: ReadonlyMap<string, TensorHeader>,
  bitsOf: (name: string) => number,
): number => {
  let count = 0;
  for (const [tensor, { shape }] of tensors) {
    const name = tensor.slice(0, tensor.lastIndexOf("."));
    const part = tensor.slice(name.length + 1);
    const isQuantized = tensors.has(`${name}.scales`);
    if (isQuantized && (part === "scales" || part === "biases")) continue;
    const stored = shape.reduce((product, size) => product * size, 1);
    count += isQuantized && part === "weight" ? (stored * wordBits) / bitsOf(name) : stored;
  }
  return count;
};

const wordBits = 32;
