/**
 * Limits how much GPU memory MLX keeps, and reports how much it holds. On a Mac the GPU shares the machine's memory,
 * and by default MLX keeps nearly all of it: freed buffers stay with the process that allocated them, even if others
 * need the memory.
 */
import { type Core, mx } from "./mlx.ts";

/**
 * From the binding. Operations that node-mlx does not have, or whose argument it cuts to 32 bits, are missing there.
 */
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

/** All limits are in bytes. */
export interface DeviceMemoryLimits {
  /** Freed buffers that are kept for new arrays. */
  readonly cache: number;
  /** Above this, freed buffers are released first, and new work waits for running work. */
  readonly memory: number;
  /** Memory that is kept resident (wired) during computation; 0 leaves it to the system. */
  readonly wired: number;
}

/**
 * @param reservedBytes the share of the memory budget that is reserved for this process
 * @param workingSetBytes the GPU's recommended working set for all processes together; undefined if it reports none
 */
export const deviceMemoryLimits = (reservedBytes: number, workingSetBytes: number | undefined): DeviceMemoryLimits => ({
  cache: Math.floor(Math.min(mostCacheBytes, Math.max(leastCacheBytes, reservedBytes / 8))),
  memory: Math.floor(reservedBytes),
  // The system refuses more than the working set.
  wired: Math.floor(Math.min(reservedBytes, workingSetBytes ?? 0)),
});

const leastCacheBytes = 64 * 1024 ** 2;
const mostCacheBytes = 1024 ** 3;

export interface DeviceMemoryUse {
  /** Of live arrays. */
  readonly activeBytes: number;
  /** Of freed buffers that are kept. */
  readonly cachedBytes: number;
  /** The peak of live arrays; 0 if the binding does not report it. */
  readonly peakBytes: number;
}

export class DeviceMemory {
  private readonly operations: MemoryOperations;
  private wiredBytes = 0;
  private isWired = false;
  /**
   * In how many more steps the cache is cleared, until the memory that the last prompt slice freed has certainly been
   * released.
   */
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

  /** Call this before anything is loaded. On a CPU nothing is limited, as the system manages its memory. */
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

  /**
   * Call this after each step. A slice of a prompt frees scores and activations of sizes that decoding cannot reuse.
   */
  afterStep(computedPrompt: boolean): void {
    // The device may still compute the slice when the step that started it is over.
    if (computedPrompt) this.clearings = 2;
    if (this.clearings === 0) return;
    this.clearings -= 1;
    this.operations.clearCache();
  }

  /** There is work: weights and caches stay resident until the engine is idle again. */
  wire(): void {
    if (this.wiredBytes > 0 && !this.isWired) this.setWiredLimit(this.wiredBytes);
    this.isWired = true;
  }

  /**
   * The engine is idle. Others may need the memory meanwhile, and a Mac that goes to sleep should have none of it
   * wired: that has caused macOS panics.
   */
  unwire(): void {
    if (this.wiredBytes > 0 && this.isWired) this.setWiredLimit(0);
    this.isWired = false;
  }

  private setWiredLimit(bytes: number): void {
    try {
      this.operations.setWiredLimit?.(bytes);
    } catch (cause) {
      // The system may be able to wire less than its GPU reports. Without wiring computation is slower, but still
      // correct.
      this.wiredBytes = 0;
      process.stderr.write(`mlxd: memory is not wired: ${cause instanceof Error ? cause.message : String(cause)}\n`);
    }
  }
}
