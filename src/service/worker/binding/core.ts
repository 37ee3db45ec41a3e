/** The operations of MLX that the worker uses, whichever binding they come from. */

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
  /**
   * Writes [rows, heads, tokens, size] into columns from this one on, of [rows, heads, columns, size]. On a CPU in place
   * whoever shares the buffer, so what still reads it must not look at these columns; otherwise as `indexPut_` does.
   */
  putColumns_(from: number, value: Tensor): void;
  /** Frees it at once; it cannot be used any more. With node-mlx the collector does that later. */
  dispose(): void;
  /** Takes it out of the open scopes: it outlives them. */
  keep(): Tensor;
}

export interface Dtype {
  /** Of an element, in bytes. */
  readonly size: number;
}

interface Slice {
  readonly start: number | null;
}

type Index = Slice | Tensor | number | null | "...";
/** MLX's own forms; all but the first have no biases, and one size of number and of group each. */
export type QuantizationMode = "affine" | "mxfp4" | "mxfp8" | "nvfp4";

export type Operand = Tensor | number;

/** What a query sees: a tensor that is added to the scores; all columns up to its own; or all. */
export type AttentionMask = Tensor | "causal" | undefined;

export interface Core {
  /** Where this comes from: the binding in binding/, or the npm package. */
  readonly binding: "own" | "node-mlx";
  /** Of MLX itself. */
  readonly version: string;
  /** Whether its kernels on this device read views and sum prefixes rightly: on a GPU MLX before 0.29.2 does not. */
  readonly hasSoundKernels: boolean;
  readonly bool: Dtype;
  readonly uint8: Dtype;
  readonly int32: Dtype;
  readonly uint32: Dtype;
  readonly float16: Dtype;
  readonly bfloat16: Dtype;
  readonly float32: Dtype;
  Slice(start?: number | null, stop?: number | null, step?: number | null): Slice;
  /** With node-mlx numbers pass as float32, also where the type is an integer: whole ones over 2^24 are rounded. */
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
  /** The same bytes as another type; the last axis changes by the sizes' ratio. Not in node-mlx. */
  view(a: Tensor, dtype: Dtype): Tensor;
  /** [n, m] with the values [k], or one for all, added at their places; the same place again adds up. */
  addAt(a: Tensor, rows: Tensor, columns: Tensor, values: Operand): Tensor;
  /** Biases are those of the affine mode alone. node-mlx knows no other mode. */
  dequantize(
    w: Tensor,
    scales: Tensor,
    biases: Tensor | undefined,
    groupSize: number,
    bits: number,
    mode?: QuantizationMode,
    dtype?: Dtype,
  ): Tensor;
  /** With `transpose` w is [out, in], packed. */
  quantizedMatmul(
    x: Tensor,
    w: Tensor,
    scales: Tensor,
    biases: Tensor | undefined,
    transpose: boolean,
    groupSize: number,
    bits: number,
    mode?: QuantizationMode,
  ): Tensor;
  /** [batch..., m, n] times those matrices of b [count, n, k] that the indices [batch...] say. */
  gatherMm(a: Tensor, b: Tensor, indicesOfA: undefined, indicesOfB: Tensor): Tensor;
  gatherQmm(
    x: Tensor,
    w: Tensor,
    scales: Tensor,
    biases: Tensor | undefined,
    indicesOfX: undefined,
    indicesOfW: Tensor,
    transpose: boolean,
    groupSize: number,
    bits: number,
    mode?: QuantizationMode,
  ): Tensor;
  isAvailable(device: "gpu"): boolean;
  /** Bytes of arrays that are alive. */
  getActiveMemory(): number;
  /** Bytes of freed buffers that MLX keeps for the next arrays. */
  getCacheMemory(): number;
  /** The most bytes that arrays took at once. Not in node-mlx 0.0.7. */
  getPeakMemory?(): number;
  /** In bytes; gives the one before. */
  setCacheLimit(bytes: number): number;
  /** In bytes; gives the one before. node-mlx takes 32 bits of it, so there it is missing. */
  setMemoryLimit?(bytes: number): number;
  /** In bytes, 0 for none; gives the one before. Throws above what the system lets the GPU wire. Not in node-mlx. */
  setWiredLimit?(bytes: number): number;
  clearCache(): void;
  /** What a device tells of itself. Not in node-mlx. */
  deviceInfo?(device: "gpu"): Readonly<Record<string, string | number>>;
  /** What is made from here on is freed when the scope closes. With node-mlx scopes do nothing. */
  openScope(): number;
  /** Scopes close from the innermost. `kept` goes over to the scope around it. */
  closeScope(scope: number, ...kept: Tensor[]): void;
  /** For tests and tools: what MLX draws differs between its versions. */
  readonly random: {
    key(seed: number): Tensor;
    normal(shape: number[], dtype: Dtype, mean: number, deviation: number, key: Tensor): Tensor;
    randint(low: number, high: number, shape: number[], dtype: Dtype, key: Tensor): Tensor;
  };
  saveSafetensors(path: string, tensors: Record<string, Tensor>): void;
  readonly fast: {
    rmsNorm(x: Tensor, weight: Tensor, eps: number): Tensor;
    /** gate * sigmoid(gate) * up. */
    swiglu(gate: Tensor, up: Tensor): Tensor;
    /**
     * Rotary position embedding of the first `dims` elements of x [rows, heads, tokens, size]. Not in node-mlx.
     *
     * @param inPairs whether an element turns with the next one, and not with the one half of `dims` further
     * @param scale what positions are multiplied with first
     * @param offsets the position of each row's first token, int32 [rows]
     * @param periods positions per radian, float32 [dims / 2]
     * @param frequencies what 1 / periods is rounded from, for CPUs
     */
    rope(
      x: Tensor,
      dims: number,
      inPairs: boolean,
      base: undefined,
      scale: number,
      offsets: Tensor,
      periods: Tensor,
      frequencies: Tensor,
    ): Tensor;
    /**
     * `"causal"`, for queries of the last columns, and `sinks` are not known to node-mlx.
     *
     * @param sinks a score for each head that takes its share and brings no value
     */
    scaledDotProductAttention(
      q: Tensor,
      k: Tensor,
      v: Tensor,
      scale: number,
      mask?: AttentionMask,
      sinks?: Tensor,
    ): Tensor;
  };
}
