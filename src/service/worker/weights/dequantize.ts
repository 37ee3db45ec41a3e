/**
 * Dequantises weights when they are loaded: those in a form that this binding has no kernels for, and on a CPU all of
 * them.
 */
import { mx, type Dtype, type Tensor } from "../mlx.ts";
import type { Quantization } from "./quantization.ts";

/** A matrix, or a stack of matrices, as MLX stores it quantised. */
export interface StoredMatrix {
  /** uint32 [..., out, words]; the numbers are packed along `in`, from the lowest bit on. */
  readonly weight: Tensor;
  /** [..., out, in / groupSize]; bytes if they are 8-bit floats. */
  readonly scales: Tensor;
  /** Only in the affine mode; shaped like the scales. */
  readonly biases: Tensor | undefined;
  readonly quantization: Quantization;
}

/** Whether products with the stored form are supported, on CPU and GPU. */
export const hasKernels = ({ mode, bits }: Quantization): boolean =>
  mx.binding === "own" || (mode === "affine" && [2, 4, 8].includes(bits));

/** [..., out, in] of this type. */
export const dequantize = ({ weight, scales, biases, quantization }: StoredMatrix, type: Dtype): Tensor => {
  const { mode, bits, groupSize } = quantization;
  if (mx.binding === "own" && hasKernels(quantization)) {
    // Computed from 16-bit scales, the result would be rounded to 16 bits.
    const exact = mode === "affine" ? scales.astype(mx.float32) : scales;
    return mx.dequantize(weight, exact, biases?.astype(mx.float32), groupSize, bits, mode, mx.float32).astype(type);
  }
  if (mode !== "affine") {
    const codes = codesOf(weight, bits, mx.bfloat16).astype(mx.uint8);
    const numbers = mx.take(mx.array([...floatsOf(bits)], type), codes, 0);
    return scaled(numbers, mx.take(mx.array([...scalesOf(mode)], type), scales, 0), undefined);
  }
  // Computed from 16-bit scales, the result would be rounded to 16 bits.
  const exactScales = scales.astype(mx.float32);
  const exactBiases = biases?.astype(mx.float32);
  const value =
    hasKernels(quantization) && exactBiases !== undefined
      ? mx.dequantize(weight, exactScales, exactBiases, groupSize, bits)
      : scaled(codesOf(weight, bits, mx.float32), exactScales, exactBiases);
  return value.astype(type);
};

/**
 * gpt-oss's own form of mxfp4.
 *
 * @param blocks uint8 [..., out, groups, 16], two numbers per byte, the first in the low bits
 * @param scales uint8 [..., out, groups]
 * @returns [..., out, in]
 */
export const dequantizeBlocks = (blocks: Tensor, scales: Tensor, type: Dtype): Tensor => {
  const four = floatsOf(4);
  const pairs = Array.from({ length: 256 }, (_, byte) => [four[byte & 15] ?? 0, four[byte >> 4] ?? 0]);
  const numbers = mx.take(mx.array(pairs, type), blocks, 0);
  return scaled(numbers, mx.take(mx.array([...scalesOf("mxfp4")], type), scales, 0), undefined);
};

/** Multiplies groups by their scales. @param numbers of any shape, in the order of the result */
const scaled = (numbers: Tensor, scales: Tensor, biases: Tensor | undefined): Tensor => {
  const groups = scales.size;
  const [rows = 0, ...more] = scales.shape.slice(0, -1);
  const products = mx.multiply(numbers.reshape(groups, numbers.size / groups), scales.reshape(groups, 1));
  const value = biases === undefined ? products : mx.add(products, biases.reshape(groups, 1));
  const inputs = numbers.size / [rows, ...more].reduce((product, size) => product * size, 1);
  const [second, ...others] = [...more, inputs];
  return value.reshape(rows, second, ...others);
};

/**
 * The numbers in packed words, in order.
 *
 * MLX's dequantisation splits words into digits of 2, 4 or 8 bits. A number of 6 bits is three digits of 2 bits; two
 * numbers of 3 or 5 bits are 3 or 5 digits of 2 bits, of which the middle one belongs half to each.
 */
const codesOf = (weight: Tensor, bits: number, type: Dtype): Tensor => {
  const digitBits = bits === 4 || bits === 8 ? bits : 2;
  // Padded to rows of 32 digits, a group size that the GPU's kernel supports.
  const missing = (digitBits - (weight.size % digitBits)) % digitBits;
  const flat = mx.flatten(weight);
  const full = missing === 0 ? flat : mx.concatenate([flat, mx.zeros([missing], mx.uint32)], 0);
  const rows = full.size / digitBits;
  const words = full.reshape(rows, digitBits);
  const all = mx.dequantize(words, mx.full([rows, 1], 1, type), mx.zeros([rows, 1], type), 32, digitBits);
  const digits = missing === 0 ? all : mx.flatten(all).index(mx.Slice(0, (weight.size * 32) / digitBits));
  if (digitBits === bits) return digits;
  const perNumber = bits / 2;
  if (Number.isInteger(perNumber)) {
    const places = Array.from({ length: perNumber }, (_, digit) => [4 ** digit]);
    return mx.matmul(digits.reshape(digits.size / perNumber, perNumber), mx.array(places, type));
  }
  const pairs = digits.reshape(digits.size / bits, bits);
  const middle = Math.floor(perNumber);
  const places = Array.from({ length: bits }, (_, digit) =>
    digit <= middle ? [4 ** digit, 0] : [0, 2 * 4 ** (digit - middle - 1)],
  );
  const upper = mx.floor(mx.multiply(mx.take(pairs, mx.array([middle], mx.int32), 1), 0.5));
  return mx.add(mx.matmul(pairs, mx.array(places, type)), mx.multiply(upper, mx.array([[-2 * 4 ** middle, 1]], type)));
};

/** The value of each code: E2M1 for 4 bits, E4M3 for 8 bits. OCP "Microscaling Formats" 1.0. */
const floatsOf = (bits: number): ReadonlyArray<number> =>
  bits === 4 ? smallFloats(2, 1, true) : smallFloats(4, 3, false);

/** E8M0 for the mx modes, E4M3 for NVIDIA's. */
const scalesOf = (mode: Quantization["mode"]): ReadonlyArray<number> =>
  mode === "nvfp4" ? floatsOf(8) : Array.from({ length: 256 }, (_, code) => (code === 255 ? NaN : 2 ** (code - 127)));

/**
 * All floats with a sign and this many exponent and mantissa bits, by their codes.
 *
 * @param endsWithNumber whether the largest code is a number; there are no infinities
 */
const smallFloats = (exponentBits: number, mantissaBits: number, endsWithNumber: boolean): ReadonlyArray<number> => {
  const half = 2 ** (exponentBits + mantissaBits);
  const bias = 2 ** (exponentBits - 1) - 1;
  return Array.from({ length: 2 * half }, (_, code) => {
    const magnitude = code % half;
    const exponent = Math.floor(magnitude / 2 ** mantissaBits);
    const fraction = (magnitude % 2 ** mantissaBits) / 2 ** mantissaBits;
    const value = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
    const isNumber = endsWithNumber || magnitude < half - 1;
    return (code < half ? 1 : -1) * (isNumber ? value : NaN);
  });
};
