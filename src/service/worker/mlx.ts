/**
 * MLX as the worker uses it: the binding with the types of the operations that are relied on (the package's own
 * declarations do not compile under this project's settings), and the memory discipline that the binding needs.
 *
 * Binding: node-mlx 0.0.7. On CPU its matmul takes float32 only, and an unsupported operation ends the process.
 */
import { createRequire } from "node:module";

/** A lazy n-dimensional array. A live handle keeps its buffer, also one that was only a step on the way. */
export interface Tensor {
  readonly shape: number[];
  readonly size: number;
  readonly ndim: number;
  readonly nbytes: number;
  readonly dtype: Dtype;
  /** Waits for the value. Large ones are slow: 15 ms for 150,000 floats. */
  tolist(): unknown;
  item(): number;
  astype(dtype: Dtype): Tensor;
  /** To two dimensions or more: a single number is refused by the binding. */
  reshape(first: number, second: number, ...more: number[]): Tensor;
  transpose(...axes: number[]): Tensor;
  index(...index: Index[]): Tensor;
  /** Writes in place when no other handle shares the buffer, a view included; otherwise it copies the whole array. */
  indexPut_(index: Index | Index[], value: Tensor | number): void;
  at(...index: Index[]): { add(value: Tensor | number): Tensor };
}

export interface Dtype {
  readonly size: number;
}

interface Slice {
  readonly start: number | null;
}

type Index = Slice | Tensor | number | null | "...";
type Operand = Tensor | number;

interface Core {
  readonly bool: Dtype;
  readonly uint8: Dtype;
  readonly int32: Dtype;
  readonly uint32: Dtype;
  readonly float16: Dtype;
  readonly bfloat16: Dtype;
  readonly float32: Dtype;
  Slice(start?: number | null, stop?: number | null, step?: number | null): Slice;
  /** Numbers pass as float32, also where the type is an integer: whole ones over 2^24 are rounded. */
  array(value: number | ReadonlyArray<unknown>, dtype?: Dtype): Tensor;
  zeros(shape: number[], dtype?: Dtype): Tensor;
  full(shape: number[], value: number, dtype?: Dtype): Tensor;
  arange(start: number, stop: number, step?: number, dtype?: Dtype): Tensor;
  load(path: string): Record<string, Tensor>;
  eval(...values: unknown[]): void;
  asyncEval(...values: unknown[]): void;
  add(a: Operand, b: Operand): Tensor;
  subtract(a: Operand, b: Operand): Tensor;
  multiply(a: Operand, b: Operand): Tensor;
  divide(a: Operand, b: Operand): Tensor;
  maximum(a: Operand, b: Operand): Tensor;
  minimum(a: Operand, b: Operand): Tensor;
  matmul(a: Tensor, b: Tensor): Tensor;
  /** a + b @ c. */
  addmm(a: Tensor, b: Tensor, c: Tensor): Tensor;
  floor(a: Tensor): Tensor;
  exp(a: Tensor): Tensor;
  log(a: Tensor): Tensor;
  cos(a: Tensor): Tensor;
  sin(a: Tensor): Tensor;
  sigmoid(a: Tensor): Tensor;
  tanh(a: Tensor): Tensor;
  softmax(a: Tensor, axis: number, precise?: boolean): Tensor;
  power(a: Operand, b: Operand): Tensor;
  less(a: Operand, b: Operand): Tensor;
  lessEqual(a: Operand, b: Operand): Tensor;
  greater(a: Operand, b: Operand): Tensor;
  greaterEqual(a: Operand, b: Operand): Tensor;
  equal(a: Operand, b: Operand): Tensor;
  logicalAnd(a: Tensor, b: Tensor): Tensor;
  logicalOr(a: Tensor, b: Tensor): Tensor;
  /** Both of one shape: with implicit broadcasting they corrupt memory. */
  bitwiseAnd(a: Tensor, b: Tensor): Tensor;
  rightShift(a: Tensor, b: Tensor): Tensor;
  where(condition: Tensor, a: Operand, b: Operand): Tensor;
  /** Of all, without an axis. */
  sum(a: Tensor, axis?: number, keepdims?: boolean): Tensor;
  max(a: Tensor, axis: number, keepdims?: boolean): Tensor;
  logsumexp(a: Tensor, axis: number, keepdims?: boolean): Tensor;
  cumsum(a: Tensor, axis: number, reverse?: boolean, inclusive?: boolean): Tensor;
  argmax(a: Tensor, axis: number, keepdims?: boolean): Tensor;
  argsort(a: Tensor, axis: number): Tensor;
  argpartition(a: Tensor, kth: number, axis: number): Tensor;
  take(a: Tensor, indices: Operand, axis: number): Tensor;
  takeAlongAxis(a: Tensor, indices: Tensor, axis: number): Tensor;
  concatenate(arrays: Tensor[], axis: number): Tensor;
  split(a: Tensor, sections: number | number[], axis: number): Tensor[];
  expandDims(a: Tensor, axis: number): Tensor;
  broadcastTo(a: Tensor, shape: number[]): Tensor;
  stack(arrays: Tensor[], axis: number): Tensor;
  flatten(a: Tensor): Tensor;
  dequantize(w: Tensor, scales: Tensor, biases: Tensor, groupSize: number, bits: number): Tensor;
  /** With `transpose` w is [out, in], packed. */
  quantizedMatmul(
    x: Tensor,
    w: Tensor,
    scales: Tensor,
    biases: Tensor,
    transpose: boolean,
    groupSize: number,
    bits: number,
  ): Tensor;
  /** gather_mm: [batch..., m, n] times those matrices of b [count, n, k] that the indices [batch...] say. */
  blockSparseMM(a: Tensor, b: Tensor, indicesOfA: undefined, indicesOfB: Tensor): Tensor;
  /** gather_qmm. */
  blockSparseQMM(
    x: Tensor,
    w: Tensor,
    scales: Tensor,
    biases: Tensor,
    indicesOfX: undefined,
    indicesOfW: Tensor,
    transpose: boolean,
    groupSize: number,
    bits: number,
  ): Tensor;
  readonly metal: { isAvailable(): boolean };
  readonly fast: {
    rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor;
    scaledDotProductAttention(q: Tensor, k: Tensor, v: Tensor, scale: number, mask?: Tensor): Tensor;
  };
}

const loadBinding = (): { readonly core: Core } => {
  try {
    return createRequire(import.meta.url)("@frost-beta/mlx") as { readonly core: Core };
  } catch (cause) {
    // The service reads this line from standard error: the process cannot speak yet.
    const [reason = ""] = String(cause).split("\n");
    throw new Error(`MLX cannot be loaded: ${reason}`, { cause });
  }
};

export const { core: mx } = loadBinding();

/** Where MLX computes. On CPU weights and activations are float32. */
export const device: "cpu" | "metal" = mx.metal.isAvailable() ? "metal" : "cpu";

/** All of an axis. */
export const all = mx.Slice();

const collectGarbage = (globalThis as { gc?: (options?: { readonly type: "minor" }) => void }).gc;
if (collectGarbage === undefined) throw new Error("the worker needs node --expose-gc");

/** Work since the last collection of either kind and since the last full one, in decode steps. */
let minorDebt = 0;
let fullDebt = 0;

/**
 * To be awaited between steps: MLX arrays are freed by V8's collector, whose finalizers run when the event loop turns.
 * A loop without it grew to 10 GB on a 1.5 GB model. Nearly all arrays die within a step or two, so collecting the
 * young generation frees them (measured: the same resident size as full collections, at half their cost); a full one
 * now and then takes what was promoted.
 *
 * @param steps what was done since the last call, as a number of decode steps
 */
export const breathe = (steps: number): Promise<void> => {
  minorDebt += steps;
  fullDebt += steps;
  if (fullDebt >= stepsPerFullCollection) {
    minorDebt = fullDebt = 0;
    collectGarbage();
  } else if (minorDebt >= stepsPerMinorCollection) {
    minorDebt = 0;
    collectGarbage({ type: "minor" });
  }
  return new Promise((resolve) => setImmediate(resolve));
};

/** Frees what is left behind, for when there is time: before a pause. */
export const collect = (): Promise<void> => breathe(stepsPerFullCollection);

/** Waits until the device has computed all that it was given: a stream keeps the order. */
export const finishCommands = (): void => mx.eval(mx.add(mx.zeros([1]), 1));

const stepsPerMinorCollection = 2;
const stepsPerFullCollection = 64;
