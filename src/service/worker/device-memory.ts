/**
 * What MLX may keep of a GPU's memory, and what it holds. On a Mac the GPU shares the machine's memory, and MLX by itself
 * keeps nearly all of it: freed buffers stay with the process that had them, whatever others need.
 */
import { type Core, mx } from "./mlx.ts";

/** Of the binding. What node-mlx does not have, or cannot be told in 64 bits, is missing there. */
export type MemoryOperations = Pick<
  Core,
  | "isAvailable"
  | "getActiveMemory"
  | "getCacheMemory"
  | "setCacheLimit"
  | "clearCache"
  | "getPeakMemory"
  | "setMemoryLimit"
  | "setWiredLimit"
  | "deviceInfo"
>;

/** Bytes. */
export interface DeviceMemoryLimits {
  /** Of freed buffers that are kept for the next arrays. */
  readonly cache: number;
  /** Beyond it freed buffers are given back first, and new work waits for work that is under way. */
  readonly memory: number;
  /** Of what stays resident while it is computed with; 0: the system decides. */
  readonly wired: number;
}

/**
 * @param reservedBytes what of the machine's memory budget was reserved for this process
 * @param workingSetBytes what the GPU says that all processes together may keep resident; undefined: it does not
 */
export const deviceMemoryLimits = (reservedBytes: number, workingSetBytes: number | undefined): DeviceMemoryLimits => ({
  cache: Math.floor(Math.min(mostCacheBytes, Math.max(leastCacheBytes, reservedBytes / 8))),
  memory: Math.floor(reservedBytes),
  // More than the working set is refused.
  wired: Math.floor(Math.min(reservedBytes, workingSetBytes ?? 0)),
});

const leastCacheBytes = 64 * 1024 ** 2;
const mostCacheBytes = 1024 ** 3;

export interface DeviceMemoryUse {
  /** Of arrays that are alive. */
  readonly activeBytes: number;
  /** Of freed buffers that are kept. */
  readonly cachedBytes: number;
  /** The most that arrays took at once; 0 where the binding does not tell. */
  readonly peakBytes: number;
}

export class DeviceMemory {
  private readonly operations: MemoryOperations;
  private wiredBytes = 0;
  private isWired = false;
  /** Steps until what the last slice of a prompt has freed is surely back. */
  private clearings = 0;

  constructor(operations: MemoryOperations = mx) {
    this.operations = operations;
  }

  get use(): DeviceMemoryUse {
    const { operations } = this;
    return {
      activeBytes: operations.getActiveMemory(),
      cachedBytes: operations.getCacheMemory(),
      peakBytes: operations.getPeakMemory?.() ?? 0,
    };
  }

  /** To be called before anything is loaded. Nothing is limited on a CPU, whose memory the system looks after. */
  limit(reservedBytes: number): void {
    const { operations } = this;
    if (!operations.isAvailable("gpu")) return;
    const workingSet = operations.deviceInfo?.("gpu")["max_recommended_working_set_size"];
    const limits = deviceMemoryLimits(reservedBytes, typeof workingSet === "number" ? workingSet : undefined);
    operations.setCacheLimit(limits.cache);
    operations.setMemoryLimit?.(limits.memory);
    this.wiredBytes = operations.setWiredLimit === undefined ? 0 : limits.wired;
    this.wire();
  }

  /** After each step. A slice of a prompt frees scores and activations of a size that decoding has no use for. */
  afterStep(computedPrompt: boolean): void {
    // The device may still be at the slice when the step that began it is over.
    if (computedPrompt) this.clearings = 2;
    if (this.clearings === 0) return;
    this.clearings -= 1;
    this.operations.clearCache();
  }

  /** Work has come: weights and caches stay resident until the next rest. */
  wire(): void {
    if (this.wiredBytes > 0 && !this.isWired) this.setWiredLimit(this.wiredBytes);
    this.isWired = true;
  }

  /**
   * There is nothing to do. Others may need the memory meanwhile, and a Mac that sleeps should have none of it wired: macOS
   * has panicked over that.
   */
  unwire(): void {
    if (this.wiredBytes > 0 && this.isWired) this.setWiredLimit(0);
    this.isWired = false;
  }

  private setWiredLimit(bytes: number): void {
    try {
      this.operations.setWiredLimit?.(bytes);
    } catch (cause) {
      // The system may have less to wire than its GPU says. It is slower without, and not wrong.
      this.wiredBytes = 0;
      process.stderr.write(`mlxd: memory is not wired: ${cause instanceof Error ? cause.message : String(cause)}\n`);
    }
  }
}
