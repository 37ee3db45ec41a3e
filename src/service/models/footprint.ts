/** What a loaded model takes of the memory budget. */
import type { ModelFacts } from "../domain/model.ts";

/** Bytes. */
export interface Footprint {
  readonly weightBytes: number;
  /** Of both caches when they are full. */
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** The engine's process beside these: Node, MLX, and what a step computes in between. */
  readonly processBytes: number;
  /** The sum. */
  readonly neededBytes: number;
}

/** Measured: 100 MiB after loading the demo model, up to 200 MiB under load. */
const processBytes = 256 * 1024 ** 2;

export const footprintOf = (
  { estimatedBytes: weightBytes }: Pick<ModelFacts, "estimatedBytes">,
  { kvCacheBytes, prefixCacheBytes }: { readonly kvCacheBytes: number; readonly prefixCacheBytes: number },
): Footprint => ({
  weightBytes,
  kvCacheBytes,
  prefixCacheBytes,
  processBytes,
  neededBytes: weightBytes + kvCacheBytes + prefixCacheBytes + processBytes,
});
