/** What the KV caches will come to: nothing begins that could not come to its end within their budget. */
import { bytesOf, type CacheShape, withSlack } from "../cache/cache-size.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { Batch } from "./batch.ts";

export class MemoryPlan {
  private readonly shape: CacheShape;
  private readonly budgetBytes: number;
  private readonly fewestSliceTokens: number;

  /** @param fewestSliceTokens prompt tokens that a slice of prefill computes at least */
  constructor(shape: CacheShape, budgetBytes: number, fewestSliceTokens: number) {
    this.shape = shape;
    this.budgetBytes = budgetBytes;
    this.fewestSliceTokens = fewestSliceTokens;
  }

  /** Whether this group can be computed and join the batch, and all come to their ends. */
  canJoin(batch: Batch | undefined, group: ReadonlyArray<Sequence>): boolean {
    return this.projectedBytes(batch, group, 0) <= this.budgetBytes;
  }

  /**
   * Whether the batch can be so many columns wider beside those that are about to join it. Closes the cache's holes if it
   * takes that.
   */
  canWiden(batch: Batch, coming: ReadonlyArray<Sequence>, columns: number): boolean {
    const running = batch.rows.filter((sequence) => sequence !== undefined);
    const fits = (): boolean => this.projectedBytes(batch, coming, columns) <= this.budgetBytes;
    if (running.length === 1 && coming.length === 0) return true;
    if (fits()) return true;
    if (batch.cache.vainColumns < leastVainColumns) return false;
    batch.cache.select(batch.rows.keys().toArray());
    return fits();
  }

  /** Bytes of both caches at their largest, with the group's own before it joins. */
  private projectedBytes(batch: Batch | undefined, group: ReadonlyArray<Sequence>, moreColumns: number): number {
    const running = batch?.rows.filter((sequence) => sequence !== undefined) ?? [];
    const prompt = Math.max(0, ...group.map(({ promptTokenIds }) => promptTokenIds.length));
    const remaining = Math.max(...[...running, ...group].map(({ remainingTokens }) => remainingTokens));
    // The batch goes on by a column with each slice of the prefill.
    const slices = Math.ceil((prompt * group.length) / this.fewestSliceTokens);
    const columns = Math.max((batch?.cache.end ?? 0) + moreColumns + slices, prompt) + remaining;
    const rows = Math.max(batch?.rows.length ?? 0, running.length + group.length);
    const apart =
      batch === undefined || group.length === 0 ? 0 : bytesOf(this.shape, group.length, prompt + spareColumns);
    return bytesOf(this.shape, rows, withSlack(columns)) + apart;
  }
}

/** Columns that a prefill's cache has beyond its prompts: the first output tokens need no growth. */
export const spareColumns = 64;

/** Fewer are not worth a copy of the cache. */
const leastVainColumns = 64;
