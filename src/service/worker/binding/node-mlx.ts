/**
 * The npm package node-mlx 0.0.7, which contains MLX 0.13.1. On a CPU its matmul supports float32 only, and an
 * unsupported operation ends the process.
 */
import { createRequire } from "node:module";

import type { Core, Operand, Tensor } from "./core.ts";

/** The operations that it has under other names. */
interface NodeMlx extends Core {
  readonly array: Core["array"] & { readonly prototype: Record<string, unknown> };
  readonly metal: {
    isAvailable(): boolean;
    getActiveMemory(): number;
    getCacheMemory(): number;
    setCacheLimit(bytes: number): number;
    clearCache(): void;
  };
  blockSparseMM: Core["gatherMm"];
  blockSparseQMM: Core["gatherQmm"];
}

interface NodeMlxTensor extends Tensor {
  at(...index: Tensor[]): { add(value: Operand): Tensor };
}

/** Throws the system's error if it cannot be loaded. */
export const loadNodeMlx = (): Core => {
  // Its own declarations do not compile under this project's settings.
  const { core } = createRequire(import.meta.url)("@frost-beta/mlx") as { readonly core: NodeMlx };
  const { metal } = core;
  const dequantize = core.dequantize.bind(core);
  const quantizedMatmul = core.quantizedMatmul.bind(core);
  const gatherQmm = core.blockSparseQMM.bind(core);
  // Arrays are freed by V8's collector only.
  Object.assign(core.array.prototype, {
    dispose: () => {},
    keep(this: Tensor) {
      return this;
    },
    putColumns_(this: Tensor, from: number, value: Tensor) {
      const whole = core.Slice();
      this.indexPut_([whole, whole, core.Slice(from, from + (value.shape[2] ?? 0)), whole], value);
    },
  });
  Object.assign(core.fast, {
    swiglu: (gate: Tensor, up: Tensor) => core.multiply(core.multiply(gate, core.sigmoid(gate)), up),
  });
  const own: Pick<Core, (typeof added)[number]> = {
    binding: "node-mlx",
    version: "0.13.1",
    hasSoundKernels: !metal.isAvailable(),
    addAt: (a, rows, columns, values) =>
      (a as NodeMlxTensor).at(rows, columns).add(typeof values === "number" ? core.full([rows.size], values) : values),
    gatherMm: core.blockSparseMM,
    // A further argument would be taken for a stream.
    dequantize: (w, scales, biases, groupSize, bits) => dequantize(w, scales, biases, groupSize, bits),
    quantizedMatmul: (x, w, scales, biases, transpose, groupSize, bits) =>
      quantizedMatmul(x, w, scales, biases, transpose, groupSize, bits),
    gatherQmm: (x, w, scales, biases, ofX, ofW, transpose, groupSize, bits) =>
      gatherQmm(x, w, scales, biases, ofX, ofW, transpose, groupSize, bits),
    isAvailable: () => metal.isAvailable(),
    getActiveMemory: () => metal.getActiveMemory(),
    getCacheMemory: () => metal.getCacheMemory(),
    setCacheLimit: (bytes) => metal.setCacheLimit(bytes),
    clearCache: () => metal.clearCache(),
    openScope: () => 0,
    closeScope: () => {},
  };
  return Object.assign(core, own);
};

const added = [
  ...([
    "binding",
    "version",
    "hasSoundKernels",
    "addAt",
    "gatherMm",
    "gatherQmm",
    "dequantize",
    "quantizedMatmul",
    "isAvailable",
    "getActiveMemory",
  ] as const),
  ...(["getCacheMemory", "setCacheLimit", "clearCache", "openScope", "closeScope"] as const),
];
