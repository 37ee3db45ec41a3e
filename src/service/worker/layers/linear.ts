/** Linear layers. */
import type { AddAdapters } from "../adapters/adapters.ts";
import { device, mx, type Tensor } from "../mlx.ts";
import { multipliesInPlace } from "./openblas.ts";
import type { Matrix, Weights } from "../weights/weights.ts";

/** x [..., in] to [..., out]. */
export type Linear = (x: Tensor) => Tensor;

/** A layer's path and its number of outputs. */
interface LinearPart {
  readonly name: string;
  readonly out: number;
}

/** x [rows, tokens, in] to several results [rows, tokens, size]. */
export type SplitLinear = (x: Tensor) => ReadonlyArray<Tensor>;

/**
 * One linear layer made from the named ones, with their outputs side by side: fewer, larger products are faster on a
 * CPU. Each part takes adapters under its own name. Throws LoadError.
 *
 * @param parts each has a `.weight` [out, inputs] and, if `bias` says so, a `.bias` [out]
 */
export const createLinear = (
  weights: Weights,
  parts: ReadonlyArray<LinearPart>,
  inputs: number,
  bias: boolean,
): Linear => linearOf(takeLayer(weights, parts, inputs, bias));

/**
 * The same with its outputs cut into results of these sizes. Outputs that are processed separately are also computed
 * separately if that costs nothing: MLX's element-wise operations take twice as long for half of an array as for an
 * array of that size.
 */
export const createSplitLinear = (
  weights: Weights,
  parts: ReadonlyArray<LinearPart>,
  sizes: ReadonlyArray<number>,
  inputs: number,
  bias: boolean,
): SplitLinear => {
  const layer = takeLayer(weights, parts, inputs, bias);
  const whole = linearOf(layer);
  const ends = sizes.map((_, index) => sizes.slice(0, index + 1).reduce((sum, size) => sum + size, 0));
  const [matrix, ...others] = layer.matrices;
  const apart =
    matrix?.quantization === undefined && matrix !== undefined && others.length === 0 && device === "cpu"
      ? ends.map((end, index) => {
          const own = mx.Slice(end - (sizes[index] ?? 0), end);
          return { weight: matrix.weight.index(own).transpose(), offset: layer.offset?.index(own) };
        })
      : undefined;
  return (x) => {
    if (apart === undefined || x.size / inputs <= mostTokensInPieces || weights.adapters.inUse) {
      return cutOutputs(whole(x), ends);
    }
    return apart.map(({ weight, offset }) => {
      const y = mx.matmul(x, weight);
      return offset === undefined ? y : mx.add(y, offset);
    });
  };
};

/**
 * Cuts results after these ends. When MLX 0.13 normalises part of an array on a GPU it assumes that the part is
 * contiguous, and computes most of it wrongly; with that version each part is copied.
 */
export const cutOutputs = (y: Tensor, ends: ReadonlyArray<number>): ReadonlyArray<Tensor> => {
  if (mx.hasSoundKernels) return mx.split(y, ends.slice(0, -1), -1);
  return ends.map((end, index) => mx.take(y, mx.arange(ends[index - 1] ?? 0, end, 1, mx.int32), -1));
};

interface Layer {
  /** Their outputs are side by side. */
  readonly matrices: ReadonlyArray<Matrix>;
  readonly offset: Tensor | undefined;
  readonly addAdapters: AddAdapters;
}

const takeLayer = (weights: Weights, parts: ReadonlyArray<LinearPart>, inputs: number, bias: boolean): Layer => ({
  matrices: joinMatrices(parts.map(({ name, out }) => weights.matrix(name, [out, inputs]))),
  offset: bias ? joinBiases(parts.map(({ name, out }) => weights.take(`${name}.bias`, [out]))) : undefined,
  addAdapters: weights.adapt(parts, inputs),
});

const linearOf = ({ matrices, offset, addAdapters }: Layer): Linear => {
  const products = matrices.map(multiplyBy);
  return (x) => {
    const y = joinTensors(
      products.map((product) => product(x)),
      -1,
    );
    return addAdapters(x, offset === undefined ? y : mx.add(y, offset));
  };
};

/** Multiplies x by a matrix that stays as stored. */
export const multiplyBy = (matrix: Matrix): Linear => {
  if (matrix.quantization === undefined) return multiplyPlain(matrix.weight, device === "cpu" && multipliesInPlace);
  const {
    weight,
    scales,
    biases,
    quantization: { mode, groupSize, bits },
  } = matrix;
  return (x) => mx.quantizedMatmul(x, weight, scales, biases, true, groupSize, bits, mode);
};

/**
 * @param weight [out, inputs]
 * @param inPieces whether products of few tokens are computed in pieces
 */
export const multiplyPlain = (weight: Tensor, inPieces: boolean): Linear => {
  const [out = 0, inputs = 0] = weight.shape;
  const transposed = weight.transpose();
  /** By number of tokens: the weight as a view [pieces, inputs, out / pieces]; undefined if it stays whole. */
  const splits = new Map<number, Tensor | undefined>();
  const split = (tokens: number): Tensor | undefined => {
    const pieces = inPieces ? piecesFor(tokens, inputs, out) : 1;
    return pieces === 1
      ? undefined
      : weight
          .reshape(pieces, out / pieces, inputs)
          .transpose(0, 2, 1)
          .keep();
  };
  return (x) => {
    const tokens = x.size / inputs;
    if (tokens > mostTokensInPieces) return mx.matmul(x, transposed);
    if (!splits.has(tokens)) splits.set(tokens, split(tokens));
    const pieces = splits.get(tokens);
    if (pieces === undefined) return mx.matmul(x, transposed);
    const products = mx.matmul(x.reshape(1, tokens, inputs), pieces);
    const [rows = 0, ...others] = x.shape.slice(0, -1);
    const [second, ...more] = [...others, out];
    // For one token the pieces are already in order.
    return (tokens === 1 ? products : products.transpose(1, 0, 2)).reshape(rows, second, ...more);
  };
};

/**
 * Into how many pieces of its outputs a product of few tokens is split if OpenBLAS multiplies in place (`openblas.ts`).
 * Its kernels for that support products of at most 1200 results and a million multiplications
 * (kernel/x86_64/sgemm_small_kernel_permit_skylakex.c), so a wider product is split into several. Measured: twice as
 * fast for 1 to 4 tokens, a quarter faster for 8 and 16, no gain beyond.
 */
export const piecesFor = (tokens: number, inputs: number, out: number): number => {
  if (tokens > mostTokensInPieces) return 1;
  const most = Math.min(1200 / tokens, 1e6 / (tokens * inputs));
  for (let pieces = Math.ceil(out / most); pieces <= out / 16; pieces++) if (out % pieces === 0) return pieces;
  return 1;
};

const mostTokensInPieces = 16;

/** Joins adjacent matrices with the same storage along `out`. */
export const joinMatrices = (matrices: ReadonlyArray<Matrix>): ReadonlyArray<Matrix> => {
  const runs: Array<[Matrix, ...Matrix[]]> = [];
  for (const matrix of matrices) {
    const run = runs.at(-1);
    if (run !== undefined && isStoredAlike(run[0], matrix)) run.push(matrix);
    else runs.push([matrix]);
  }
  return runs.map(joinAlike);
};

const isStoredAlike = ({ quantization: a }: Matrix, { quantization: b }: Matrix): boolean =>
  a?.mode === b?.mode && a?.bits === b?.bits && a?.groupSize === b?.groupSize;

const joinAlike = (matrices: readonly [Matrix, ...Matrix[]]): Matrix => {
  const [{ quantization }] = matrices;
  const weight = joinTensors(
    matrices.map((matrix) => matrix.weight),
    -2,
  );
  if (quantization === undefined) {
    mx.eval(weight);
    return { quantization, weight };
  }
  const quantized = matrices.flatMap((matrix) => (matrix.quantization === undefined ? [] : [matrix]));
  const scales = joinTensors(
    quantized.map((matrix) => matrix.scales),
    -2,
  );
  const offsets = quantized.flatMap((matrix) => matrix.biases ?? []);
  const biases = offsets.length === 0 ? undefined : joinTensors(offsets, -2);
  mx.eval(weight, scales, ...(biases === undefined ? [] : [biases]));
  return { quantization, weight, scales, biases };
};

/** Evaluated, so that the parts can be freed. */
export const joinBiases = (parts: ReadonlyArray<Tensor>): Tensor => {
  const joined = joinTensors(parts, -1);
  mx.eval(joined);
  return joined;
};

/** Axes are counted from the end: outputs are the last but one of a matrix, and the last of biases and results. */
export const joinTensors = (parts: ReadonlyArray<Tensor>, axis: -1 | -2): Tensor => {
  const [first] = parts;
  if (first === undefined) throw new RangeError("a layer has at least one part");
  return parts.length === 1 ? first : mx.concatenate([...parts], axis);
};
