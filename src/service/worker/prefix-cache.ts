/**
 * Keys and values of what was computed before, by token ids: a conversation's next turn and requests that share a
 * beginning start where the longest common prefix ends.
 *
 * Entries are whole sequences, so a lookup may use any part of one; a longer sequence takes the place of its own
 * beginnings. Partitions share nothing. Least recently used goes first when the budget is full.
 */
import type { RowSnapshot } from "./kv-cache.ts";
import { PrefixTree } from "./prefix-tree.ts";

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
  private readonly partitions = new Map<string, PrefixTree<Entry>>();
  private usedBytes = 0;

  constructor(budgetBytes: number) {
    this.budgetBytes = budgetBytes;
  }

  get bytes(): number {
    return this.usedBytes;
  }

  /** The entry that shares the longest beginning, if it is worth using. */
  find(partition: string, tokenIds: ReadonlyArray<number>): CachedPrefix | undefined {
    const best = this.partitions.get(partition)?.longest(tokenIds);
    if (best === undefined || best.tokens < minCachedTokens) return undefined;
    this.touch(best.value);
    return { snapshot: best.value.snapshot, tokens: best.tokens };
  }

  /** Whether keeping this sequence would add anything: asked before a snapshot is made of it. */
  wants(partition: string, tokenIds: ReadonlyArray<number>, bytes: number): boolean {
    if (tokenIds.length < minCachedTokens || bytes > this.budgetBytes) return false;
    const known = this.partitions.get(partition)?.longest(tokenIds);
    if (known === undefined || known.tokens < tokenIds.length) return true;
    this.touch(known.value);
    return false;
  }

  /** Keeps a sequence that it wants. */
  put(partition: string, tokenIds: ReadonlyArray<number>, snapshot: RowSnapshot): void {
    for (const beginning of this.partitions.get(partition)?.beginningsOf(tokenIds) ?? []) this.drop(beginning);
    const tree = this.partitions.get(partition) ?? new PrefixTree<Entry>();
    const entry = { partition, tokenIds, snapshot };
    this.partitions.set(partition, tree);
    tree.set(tokenIds, entry);
    this.entries.add(entry);
    this.usedBytes += snapshot.bytes;
    for (const oldest of this.entries) {
      if (this.usedBytes <= this.budgetBytes) break;
      this.drop(oldest);
    }
  }

  private touch(entry: Entry): void {
    this.entries.delete(entry);
    this.entries.add(entry);
  }

  private drop(entry: Entry): void {
    if (!this.entries.delete(entry)) return;
    this.usedBytes -= entry.snapshot.bytes;
    const tree = this.partitions.get(entry.partition);
    tree?.delete(entry.tokenIds);
    if (tree?.isEmpty === true) this.partitions.delete(entry.partition);
  }
}

/** How many first tokens two sequences share. */
export const commonPrefix = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number => {
  const length = Math.min(a.length, b.length);
  let common = 0;
  while (common < length && a[common] === b[common]) common += 1;
  return common;
};
