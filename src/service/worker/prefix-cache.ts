/**
 * Keys and values of what was computed before, by token ids: a conversation's next turn and requests that share a
 * beginning start where the longest common prefix ends.
 *
 * Entries are whole sequences, so a lookup may use any part of one; a longer sequence takes the place of its own
 * beginnings. Partitions share nothing. Least recently used goes first when the budget is full.
 */
import type { RowSnapshot } from "./kv-cache.ts";

export interface CachedPrefix {
  readonly snapshot: RowSnapshot;
  /** Tokens of the snapshot that the asked-for sequence begins with. */
  readonly tokens: number;
}

interface Entry {
  readonly partition: string;
  readonly tokenIds: ReadonlyArray<number>;
  readonly snapshot: RowSnapshot;
}

/** Shorter ones cost more to keep than to compute. */
export const minCachedTokens = 16;

export class PrefixCache {
  private readonly budgetBytes: number;
  /** Least recently used first. */
  private readonly entries = new Set<Entry>();
  private usedBytes = 0;

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.usedBytes;
  }

  /** The entry that shares the longest beginning, if it is worth using. */
  find(partition: string, tokenIds: ReadonlyArray<number>): CachedPrefix | undefined {
    let best: Entry | undefined;
    let tokens = minCachedTokens - 1;
    for (const entry of this.entries) {
      if (entry.partition !== partition) continue;
      const common = commonPrefix(entry.tokenIds, tokenIds);
      if (common > tokens) [best, tokens] = [entry, common];
    }
    if (best === undefined) return undefined;
    this.touch(best);
    return { snapshot: best.snapshot, tokens };
  }

  /** Whether keeping this sequence would add anything: asked before a snapshot is made of it. */
  wants(partition: string, tokenIds: ReadonlyArray<number>, bytes: number): boolean {
    if (tokenIds.length < minCachedTokens || bytes > this.budgetBytes) return false;
    for (const entry of this.entries) {
      if (entry.partition !== partition || commonPrefix(entry.tokenIds, tokenIds) < tokenIds.length) continue;
      this.touch(entry);
      return false;
    }
    return true;
  }

  put(partition: string, tokenIds: ReadonlyArray<number>, snapshot: RowSnapshot): void {
    for (const entry of this.entries) {
      const isBeginning = commonPrefix(entry.tokenIds, tokenIds) === entry.tokenIds.length;
      if (entry.partition === partition && isBeginning) this.drop(entry);
    }
    this.entries.add({ partition, tokenIds, snapshot });
    this.usedBytes += snapshot.bytes;
    for (const entry of this.entries) {
      if (this.usedBytes <= this.budgetBytes) break;
      this.drop(entry);
    }
  }

  private touch(entry: Entry): void {
    this.entries.delete(entry);
    this.entries.add(entry);
  }

  private drop(entry: Entry): void {
    if (this.entries.delete(entry)) this.usedBytes -= entry.snapshot.bytes;
  }
}

/** How many first tokens two sequences share. */
export const commonPrefix = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const length = Math.min(a.length, b.length);
  let common = 0;
  while (common < length && a[common] === b[common]) common += 1;
  return common;
};
