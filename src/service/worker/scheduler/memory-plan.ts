/** Projects the size of the KV caches: no sequence begins that could not be completed within their budget. */
import { bytesOf, type CacheShape, withSlack } from "../cache/cache-size.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { Batch } from "./batch.ts";

export class MemoryPlan {
  private readonly shape: CacheShape;
  private readonly budgetBytes: number;
  private readonly fewestSliceTokens: number;

  /** @param fewestSliceTokens the fewest prompt tokens in a slice of prefill */
  constructor(shape: CacheShape, budgetBytes: number, fewestSliceTokens: number) {
    this.shape = shape;
    this.budgetBytes = budgetBytes;
    this.fewestSliceTokens = fewestSliceTokens;
  }

  /** Whether this group can be computed and join the batch, and all sequences can be completed. */
  canJoin(batch: Batch | undefined, group: ReadonlyArray<Sequence>): boolean {
    return this.projectedBytes(batch, group, 0) <= this.budgetBytes;
  }

  /**
   * Whether the batch can get this many columns wider in addition to the sequences that are about to join. Closes the
   * cache's holes if that is needed.
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

  /** Bytes of both caches at their largest, including the group's own cache before it joins. */
  private projectedBytes(batch: Batch | undefined, group: ReadonlyArray<Sequence>, moreColumns: number): number {
    const running = batch?.rows.filter((sequence) => sequence !== undefined) ?? [];
    const prompt = Math.max(0, ...group.map(({ promptTokenIds }) => promptTokenIds.length));
    const remaining = Math.max(...[...running, ...group].map(({ remainingTokens }) => remainingTokens));
    // The batch grows by one column with each slice of the prefill.
    const slices = Math.ceil((prompt * group.length) / this.fewestSliceTokens);
    const columns = Math.max((batch?.cache.end ?? 0) + moreColumns + slices, prompt) + remaining;
    const rows = Math.max(batch?.rows.length ?? 0, running.length + group.length);
    const apart =
      batch === undefined || group.length === 0 ? 0 : bytesOf(this.shape, group.length, prompt + spareColumns);
    return bytesOf(this.shape, rows, withSlack(columns)) + apart;
  }
}

/** Columns that a prefill's cache has beyond its prompts, so that it need not grow for the first output tokens. */
export const spareColumns = 64;

/** Closing holes of fewer columns is not worth a copy of the cache. */
const leastVainColumns = 64;
