/** The operations of MLX that the worker uses, whichever binding they come from. */

/** A lazy n-dimensional array. A live handle keeps its buffer, even that of an intermediate result. */
export interface Tensor {
  readonly shape: number[];
  readonly size: number;
  readonly ndim: number;
  readonly nbytes: number;
  readonly dtype: Dtype;
  /** Waits for the value. Large arrays are slow: 15 ms for 150,000 floats. */
  tolist(): unknown;
  item(): number;
  astype(dtype: Dtype): Tensor;
  /** To two or more dimensions: the binding does not accept a single number. */
  reshape(first: number, second: number, ...more: number[]): Tensor;
  transpose(...axes: number[]): Tensor;
  index(...index: Index[]): Tensor;
  /** Writes in place if no other handle, views included, shares the buffer; otherwise it copies the whole array. */
  indexPut_(index: Index | Index[], value: Tensor | number): void;
  /**
   * Writes [rows, heads, tokens, size] into [rows, heads, columns, size], from this column on. On a CPU it writes in
   * place even if the buffer is shared, so nothing that still reads the buffer may look at these columns; otherwise it
   * behaves like `indexPut_`.
   */
  putColumns_(from: number, value: Tensor): void;
  /** Frees the array immediately; it cannot be used any more. With node-mlx the collector does that later. */
  dispose(): void;
  /** Removes the array from the open scopes, so that it outlives them. */
  keep(): Tensor;
}

export interface Dtype {
  /** Size of an element in bytes. */
  readonly size: number;
}

interface Slice {
  readonly start: number | null;
}

type Index = Slice | Tensor | number | null | "...";
/** MLX's quantisation modes. All except the first have no biases, and one number format and group size each. */
export type QuantizationMode = "affine" | "mxfp4" | "mxfp8" | "nvfp4";

export type Operand = Tensor | number;

/**
 * What a query sees: a tensor is added to the scores; `causal` is all columns up to its own; undefined is all columns.
 */
export type AttentionMask = Tensor | "causal" | undefined;

export interface Core {
  /** The implementation: the project's own addon, or the npm package. */
  readonly binding: "own" | "node-mlx";
  /** MLX's version. */
  readonly version: string;
  /**
   * Whether its kernels on this device handle views and prefix sums correctly, which MLX before 0.29.2 does not on a
   * GPU.
   */
  readonly hasSoundKernels: boolean;
  readonly bool: Dtype;
  readonly uint8: Dtype;
  readonly int32: Dtype;
  readonly uint32: Dtype;
  readonly float16: Dtype;
  readonly bfloat16: Dtype;
  readonly float32: Dtype;
  Slice(start?: number | null, stop?: number | null, step?: number | null): Slice;
  /** With node-mlx numbers are passed as float32 even for integer types: integers above 2^24 are rounded. */
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
  /** Both operands must have the same shape: with implicit broadcasting node-mlx corrupts memory. */
  bitwiseAnd(a: Tensor, b: Tensor): Tensor;
  rightShift(a: Tensor, b: Tensor): Tensor;
  where(condition: Tensor, a: Operand, b: Operand): Tensor;
  /** Of all elements if no axis is given. */
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
  /** Reinterprets the bytes as another type; the last axis changes by the ratio of the sizes. Not in node-mlx. */
  view(a: Tensor, dtype: Dtype): Tensor;
  /** Adds values [k], or one for all, to [n, m] at their places; values for the same place add up. */
  addAt(a: Tensor, rows: Tensor, columns: Tensor, values: Operand): Tensor;
  /** Only the affine mode has biases. node-mlx supports no other mode. */
  dequantize(
    w: Tensor,
    scales: Tensor,
    biases: Tensor | undefined,
    groupSize: number,
    bits: number,
    mode?: QuantizationMode,
    dtype?: Dtype,
  ): Tensor;
  /** With `transpose`, w is [out, in], packed. */
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
  /** [batch..., m, n] times the matrices of b [count, n, k] selected by the indices [batch...]. */
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
  /** Bytes of live arrays. */
  getActiveMemory(): number;
  /** Bytes of freed buffers that MLX keeps for new arrays. */
  getCacheMemory(): number;
  /** The peak bytes of live arrays. Not in node-mlx 0.0.7. */
  getPeakMemory?(): number;
  /** In bytes; returns the previous limit. */
  setCacheLimit(bytes: number): number;
  /** In bytes; returns the previous limit. node-mlx would cut it to 32 bits, so it is missing there. */
  setMemoryLimit?(bytes: number): number;
  /**
   * In bytes, 0 for none; returns the previous limit. Throws above what the system lets the GPU wire. Not in node-mlx.
   */
  setWiredLimit?(bytes: number): number;
  clearCache(): void;
  /** What a device reports about itself. Not in node-mlx. */
  deviceInfo?(device: "gpu"): Readonly<Record<string, string | number>>;
  /** Arrays made from now on are freed when the scope closes. With node-mlx scopes do nothing. */
  openScope(): number;
  /** Scopes close from the innermost outwards. `kept` moves to the enclosing scope. */
  closeScope(scope: number, ...kept: Tensor[]): void;
  /** For tests and tools only: MLX's random numbers differ between its versions. */
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
     * @param inPairs whether an element is rotated with its neighbour instead of the element half of `dims` further on
     * @param scale factor for positions
     * @param offsets the position of each row's first token, int32 [rows]
     * @param periods positions per radian, float32 [dims / 2]
     * @param frequencies the exact values of which 1 / periods is a rounding, for CPUs
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
     * node-mlx does not support `sinks`, nor `"causal"` for queries of the last columns.
     *
     * @param sinks a score for each head that takes part in the softmax and contributes no value
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
