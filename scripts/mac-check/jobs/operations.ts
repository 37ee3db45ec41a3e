/** Operations of MLX against the same in TypeScript: each is one that a kernel has been wrong in. */
import { attend } from "../../../src/service/worker/layers/attention.ts";
import { mx, type Dtype, type Tensor } from "../../../src/service/worker/mlx.ts";

export type Type = "float32" | "float16" | "bfloat16";

export interface OperationInput {
  readonly operation: OperationName;
  readonly type: Type;
  /** What the operation's shape depends on. */
  readonly sizes: ReadonlyArray<number>;
}

/** `difference`: the largest one, as a share of the largest number of the reference. */
export const computeOperations = (inputs: ReadonlyArray<OperationInput>) =>
  inputs.map(({ operation, type, sizes }) => ({ sizes, difference: operationsByName[operation](mx[type], sizes) }));

export type OperationName = keyof typeof operationsByName;

/** A running sum over the rows of a large array, again and again: how many of the results differ from the first one. */
export const prefixSums = ({ rounds }: { readonly rounds: number }): number => {
  const shares = mx.array(table([4, 152_064], () => 1 / 152_064));
  let wrong = 0;
  for (let round = 0; round < rounds; round++) {
    const scope = mx.openScope();
    const sums = mx.cumsum(shares, 1);
    const ends = mx.take(sums, mx.array([152_063], mx.int32), 1).tolist() as number[][];
    const isRising = mx.sum(mx.less(mx.subtract(sums, mx.subtract(sums, shares)), 0).astype(mx.float32)).item() === 0;
    if (!isRising || ends.some(([end = 0]) => Math.abs(end - 1) > 1e-2)) wrong += 1;
    mx.closeScope(scope);
  }
  return wrong;
};

/** An array that no buffer can hold: told as an error, or the end of the process. */
// oxlint-disable-next-line no-unused-vars -- every job is given settings
export const oversizedBuffer = (_: object): string => {
  try {
    const array = mx.zeros([1_000_000, 1_000_000]);
    mx.eval(mx.add(array, 1));
    return "it was computed";
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
};

/** The same numbers everywhere: of a linear congruential generator (Numerical Recipes), in -1..1. */
const randomNumbers = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
};

type Nested = number | ReadonlyArray<Nested>;

const table = (shape: ReadonlyArray<number>, value: () => number): Nested => {
  const [length, ...rest] = shape;
  return length === undefined ? value() : Array.from({ length }, () => table(rest, value));
};

const flat = (values: Nested): ReadonlyArray<number> =>
  typeof values === "number" ? [values] : values.flatMap((value) => [...flat(value)]);

/** An array of the type, and the numbers that it holds after rounding to it. */
const random = (shape: ReadonlyArray<number>, type: Dtype, seed: number) => {
  const tensor = mx.array(table(shape, randomNumbers(seed))).astype(type);
  return { tensor, values: numbersOf(tensor) };
};

const numbersOf = (tensor: Tensor): ReadonlyArray<number> => flat(tensor.astype(mx.float32).tolist() as Nested);

const largestDifference = (computed: ReadonlyArray<number>, reference: ReadonlyArray<number>): number => {
  if (computed.length !== reference.length) return Number.POSITIVE_INFINITY;
  let difference = 0;
  let largest = 1e-30;
  for (const [place, value] of reference.entries()) {
    const apart = Math.abs(value - (computed[place] ?? Number.NaN));
    if (Number.isNaN(apart)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, apart);
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / largest;
};

const at = (values: ReadonlyArray<number>, place: number): number => values[place] ?? Number.NaN;

/** The norm of each head of a part of a joined product: a view whose rows are not side by side. */
const normOfView = (type: Dtype, [rows = 1, tokens = 1]: ReadonlyArray<number>): number => {
  const [heads, headDim, eps] = [2, 64, 1e-6];
  const joined = random([rows, tokens, 3 * heads * headDim], type, 1);
  const weight = random([headDim], type, 2);
  const [, keys] = mx.split(joined.tensor, [heads * headDim, 2 * heads * headDim], 2);
  if (keys === undefined) throw new Error("a split without parts");
  const normed = mx.fast.rmsNorm(keys.reshape(rows, tokens, heads, headDim), weight.tensor, eps);
  const reference: number[] = [];
  for (let row = 0; row < rows * tokens * heads; row++) {
    const from = Math.floor(row / heads) * 3 * heads * headDim + heads * headDim + (row % heads) * headDim;
    const values = joined.values.slice(from, from + headDim);
    const scale = 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / headDim + eps);
    for (const [place, value] of values.entries()) reference.push(value * scale * at(weight.values, place));
  }
  return largestDifference(numbersOf(normed), reference);
};

/** Grouped heads with a mask of its own for each row. */
const groupedAttention = (type: Dtype, [rows = 1, tokens = 1]: ReadonlyArray<number>): number => {
  const [heads, kvHeads, headDim] = [4, 2, 64];
  const capacity = tokens + 3;
  const queries = random([rows, heads, tokens, headDim], type, 3);
  const keys = random([rows, kvHeads, capacity, headDim], type, 4);
  const values = random([rows, kvHeads, capacity, headDim], type, 5);
  // Row r begins in column r, and no query looks past its own column.
  const isVisible = (row: number, token: number, column: number): boolean =>
    column <= token + 3 && (column >= row || column === token + 3);
  const mask = Array.from({ length: rows }, (_, row) => [
    Array.from({ length: tokens }, (_, token) =>
      Array.from({ length: capacity }, (_, column) => (isVisible(row, token, column) ? 0 : Number.NEGATIVE_INFINITY)),
    ),
  ]);
  const scale = 1 / Math.sqrt(headDim);
  const attended = attend(queries.tensor, keys.tensor, values.tensor, scale, mx.array(mask).astype(type));
  const reference: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let token = 0; token < tokens; token++) {
      for (let head = 0; head < heads; head++) {
        const query = ((row * heads + head) * tokens + token) * headDim;
        const shared = (row * kvHeads + Math.floor((head * kvHeads) / heads)) * capacity;
        const shares: number[] = [];
        for (let column = 0; column < capacity; column++) {
          let score = 0;
          for (let dim = 0; dim < headDim; dim++) {
            score += at(queries.values, query + dim) * at(keys.values, (shared + column) * headDim + dim);
          }
          shares.push(isVisible(row, token, column) ? Math.exp(score * scale) : 0);
        }
        const total = shares.reduce((sum, share) => sum + share, 0);
        for (let dim = 0; dim < headDim; dim++) {
          const sum = shares.reduce(
            (sum, share, column) => sum + share * at(values.values, (shared + column) * headDim + dim),
            0,
          );
          reference.push(sum / total);
        }
      }
    }
  }
  return largestDifference(numbersOf(attended), reference);
};

/** More columns than one pass of the kernel takes, with some that are masked. */
const maskedSoftmax = (type: Dtype, [columns = 1]: ReadonlyArray<number>): number => {
  const scores = random([2, columns], mx.float32, 6);
  const isMasked = (place: number): boolean => place % 3 === 0;
  const masked = scores.values.map((score, place) => (isMasked(place) ? Number.NEGATIVE_INFINITY : score));
  const rows = [masked.slice(0, columns), masked.slice(columns)];
  const computed = mx.softmax(mx.array(rows).astype(type), 1, true);
  const reference = rows.flatMap((row) => {
    const total = row.reduce((sum, score) => sum + Math.exp(score), 0);
    return row.map((score) => Math.exp(score) / total);
  });
  return largestDifference(numbersOf(computed), reference);
};

/** The largest of a vocabulary: 0 where all of them were found. */
const partition = (_: Dtype, [rows = 1, columns = 1]: ReadonlyArray<number>): number => {
  const scores = random([rows, columns], mx.float32, 7);
  const kept = 128;
  const order = mx.argpartition(scores.tensor, columns - kept, 1).tolist() as number[][];
  let missing = 0;
  for (const [row, ids] of order.entries()) {
    const values = scores.values.slice(row * columns, (row + 1) * columns);
    const bound = values.toSorted((a, b) => b - a)[kept - 1] ?? Number.NaN;
    missing += ids.slice(columns - kept).filter((id) => !(at(values, id) >= bound)).length;
  }
  return missing;
};

/** Values added at places, one of them twice. */
const scatterAdd = (type: Dtype, [columns = 1]: ReadonlyArray<number>): number => {
  const base = random([2, columns], type, 8);
  const rows = [0, 1, 1, 0];
  const places = [0, 5, 5, columns - 1];
  const added = mx.addAt(base.tensor, mx.array(rows, mx.int32), mx.array(places, mx.int32), 2);
  const reference = [...base.values];
  for (const [index, row] of rows.entries()) {
    const place = row * columns + at(places, index);
    reference[place] = at(reference, place) + 2;
  }
  return largestDifference(numbersOf(added), reference);
};

/** Columns written into an array in place, as keys are into their cache; then rows gathered from it. */
const updateAndGather = (type: Dtype, [columns = 1]: ReadonlyArray<number>): number => {
  const cache = random([3, columns, 8], type, 9);
  const written = random([3, 2, 8], type, 10);
  cache.tensor.indexPut_([mx.Slice(), mx.Slice(columns - 2, columns), mx.Slice()], written.tensor);
  const gathered = mx.take(cache.tensor, mx.array([2, 0, 2], mx.int32), 0);
  const row = (index: number): ReadonlyArray<number> => [
    ...cache.values.slice(index * columns * 8, ((index + 1) * columns - 2) * 8),
    ...written.values.slice(index * 16, (index + 1) * 16),
  ];
  return largestDifference(numbersOf(gathered), [...row(2), ...row(0), ...row(2)]);
};

/** A product with packed weights, against the same weights unpacked. Sizes: bits, group, rows, inputs. */
const quantizedProduct = (
  type: Dtype,
  [bits = 4, group = 64, rows = 1, inputs = 64]: ReadonlyArray<number>,
): number => {
  const outputs = 16;
  const x = random([rows, inputs], type, 11);
  const words = (inputs * bits) / 32;
  const next = randomNumbers(12);
  const halves = table([outputs, words, 2], () => Math.floor((next() + 1) * 32_767)) as number[][][];
  // Of two halves, as whole numbers over 2^24 do not pass every binding.
  const [low, high] = mx.split(mx.array(halves).astype(mx.uint32), 2, 2);
  if (low === undefined || high === undefined) throw new Error("a split without parts");
  const shifted = mx.multiply(high.astype(mx.uint32), mx.full([1], 65_536, mx.uint32));
  const packed = mx.add(low, shifted).astype(mx.uint32).reshape(outputs, words);
  const scales = random([outputs, inputs / group], type, 13).tensor;
  const biases = random([outputs, inputs / group], type, 14).tensor;
  const computed = mx.quantizedMatmul(x.tensor, packed, scales, biases, true, group, bits);
  const weights = numbersOf(mx.dequantize(packed, scales, biases, group, bits));
  const reference: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let output = 0; output < outputs; output++) {
      let sum = 0;
      for (let input = 0; input < inputs; input++) {
        sum += at(x.values, row * inputs + input) * at(weights, output * inputs + input);
      }
      reference.push(sum);
    }
  }
  return largestDifference(numbersOf(computed), reference);
};

const operationsByName = {
  normOfView,
  groupedAttention,
  maskedSoftmax,
  partition,
  scatterAdd,
  updateAndGather,
  quantizedProduct,
};
