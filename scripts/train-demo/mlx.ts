import { createRequire } from "node:module";

/** An array of MLX, as far as this program uses it: the package's own types do not pass a strict compiler. */
export interface Tensor {
  readonly shape: number[];
  readonly size: number;
  astype(type: ElementType): Tensor;
  item(): number;
  tolist(): unknown;
}

interface ElementType {
  readonly size: number;
}

export interface Stream {
  readonly device: object;
}

type Operand = Tensor | number;

/** The operations of `mx` that this program uses. */
interface Operations {
  float16: ElementType;
  float32: ElementType;
  int32: ElementType;
  uint32: ElementType;
  add(left: Operand, right: Operand): Tensor;
  addmm(bias: Tensor, left: Tensor, right: Tensor): Tensor;
  arange(start: number, stop: number, step: number, type: ElementType): Tensor;
  argmax(array: Tensor, axis: number): Tensor;
  array(values: unknown, type: ElementType): Tensor;
  concatenate(arrays: Tensor[], axis: number): Tensor;
  cos(array: Tensor): Tensor;
  defaultDevice(): object;
  defaultStream(device: object): Stream;
  divide(left: Operand, right: Operand): Tensor;
  eval(arrays: unknown): void;
  exp(array: Tensor): Tensor;
  expandDims(array: Tensor, axis: number): Tensor;
  fast: { rmsNorm(array: Tensor, weight: Tensor, epsilon: number): Tensor };
  full(shape: number[], value: number): Tensor;
  less(left: Operand, right: Operand): Tensor;
  logsumexp(array: Tensor, axis: number): Tensor;
  matmul(left: Tensor, right: Tensor): Tensor;
  minimum(left: Operand, right: Operand): Tensor;
  multiply(left: Operand, right: Operand): Tensor;
  newStream(device: object): Stream;
  ones(shape: number[]): Tensor;
  random: {
    key(seed: number): Tensor;
    normal(shape: number[], type: ElementType, mean: number, deviation: number, key: Tensor): Tensor;
    split(key: Tensor): Tensor;
  };
  reshape(array: Tensor, shape: number[]): Tensor;
  setDefaultStream(stream: Stream): void;
  sigmoid(array: Tensor): Tensor;
  sin(array: Tensor): Tensor;
  softmax(array: Tensor, axis: number): Tensor;
  split(array: Tensor, parts: number | number[], axis?: number): Tensor[];
  sqrt(array: Tensor): Tensor;
  square(array: Tensor): Tensor;
  squeeze(array: Tensor, axis: number): Tensor;
  stack(arrays: Tensor[]): Tensor;
  subtract(left: Operand, right: Operand): Tensor;
  sum(array: Tensor, axes?: number[], keepDimensions?: boolean): Tensor;
  take(array: Tensor, indices: Tensor, axis: number): Tensor;
  takeAlongAxis(array: Tensor, indices: Tensor, axis: number): Tensor;
  transpose(array: Tensor, axes?: number[]): Tensor;
  valueAndGrad(loss: unknown): unknown;
  zeros(shape: number[]): Tensor;
  zerosLike(array: Tensor): Tensor;
}

/** The package is CommonJS and loads its parts lazily, so it is required rather than imported. */
const loaded = createRequire(import.meta.url)("@frost-beta/mlx") as { core: Operations };

export const mx = loaded.core;

/** Builds the operations of `body` on a stream: MLX runs each stream on a thread of its own. */
export function onStream<Result>(stream: Stream, body: () => Result): Result {
  const before = mx.defaultStream(mx.defaultDevice());
  mx.setDefaultStream(stream);
  try {
    return body();
  } finally {
    mx.setDefaultStream(before);
  }
}

/** The value of a loss and its gradients by parameter name. */
export function lossAndGradients<Args extends unknown[]>(
  loss: (parameters: Record<string, Tensor>, ...args: Args) => Tensor,
): (parameters: Record<string, Tensor>, ...args: Args) => [Tensor, Record<string, Tensor>] {
  return mx.valueAndGrad(loss) as ReturnType<typeof lossAndGradients<Args>>;
}

/** Frees what JavaScript no longer holds: arrays go only when the collector has run and the event loop turns. */
export async function releaseMemory(collect: boolean): Promise<void> {
  if (collect) globalThis.gc?.();
  await new Promise((resolve) => setImmediate(resolve));
}
