/** The project's own binding, whichever one MLXD_BINDING names for the rest of the tests. */
import type { Core, Dtype, Tensor } from "../../src/service/worker/binding/core.ts";
import { loadOwn } from "../../src/service/worker/binding/own.ts";

type TypedArray = Float32Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/** What the worker does not call, as node-mlx has it not or otherwise. */
interface More {
  array(value: number | ReadonlyArray<unknown> | TypedArray, dtype?: Dtype): MoreTensor;
  quantize(w: Tensor, groupSize: number, bits: number, mode: string): Tensor[];
  view(a: Tensor, dtype: Dtype): Tensor;
  contiguous(a: Tensor): Tensor;
  sort(a: Tensor, axis: number): Tensor;
  mean(a: Tensor, axis?: number, keepdims?: boolean): Tensor;
  reshape(a: Tensor, shape: number[]): Tensor;
  getPeakMemory(): number;
  resetPeakMemory(): void;
  setMemoryLimit(bytes: number): number;
  getMemoryLimit(): number;
  deviceInfo(device: "cpu" | "gpu"): Record<string, string | number>;
  defaultStream(device: "cpu" | "gpu"): { readonly index: number; readonly device: string };
  newStream(device: "cpu" | "gpu"): { readonly index: number; readonly device: string };
  setDefaultStream(stream: object): void;
  synchronize(stream?: object): void;
  pendingPrimitives(...tensors: Tensor[]): Record<string, number>;
}

interface MoreTensor extends Tensor {
  transpose(...axes: number[]): MoreTensor;
  toTypedArray(): TypedArray;
}

export const binding = loadOwn() as Omit<Core, "array"> & More;
