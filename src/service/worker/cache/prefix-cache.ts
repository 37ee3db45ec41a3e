/**
 * Keys and values of earlier sequences, by token ids. A conversation's next turn, and requests with a common beginning,
 * start where the longest cached prefix ends.
 *
 * Entries are whole sequences, and a lookup may use any part of one; a longer sequence replaces its own prefixes. The
 * part that a sequence shares with a cached one is stored once: only the rest is copied. Partitions share nothing. When
 * the budget is full, the least recently used entry is evicted.
 */
import type { Tensor } from "../mlx.ts";
import type { ClearedPrefixes, PrefixReport } from "../protocol/prefix-report.ts";
import type { PrefixSelection } from "../protocol/to-worker.ts";
import { partitionOf, PrefixCounts } from "./prefix-counts.ts";
import type { RowSnapshot } from "./row-copies.ts";
import { type PrefixId, PrefixTree } from "./prefix-tree.ts";

export interface CachedPrefix {
  readonly pieces: ReadonlyArray<SnapshotPiece>;
  /** How many tokens of the requested sequence the pieces cover. */
  readonly tokens: number;
}

/** The first tokens of a snapshot. */
interface SnapshotPiece {
  readonly snapshot: RowSnapshot;
  readonly tokens: number;
}

interface Entry {
  readonly partition: string;
  readonly tokenIds: ReadonlyArray<PrefixId>;
  /** Concatenated they are the sequence. */
  readonly pieces: ReadonlyArray<SnapshotPiece>;
}

/** Shorter prefixes cost more to store than to compute. */
export const minCachedTokens = 16;

/** A sequence of more pieces is copied into one: each piece costs a few operations per layer when a row is loaded. */
const maxPieces = 8;

export class PrefixCache {
  private readonly budgetBytes: number;
  private readonly bytesPerToken: number;
  /** Least recently used first. */
  private readonly entries = new Set<Entry>();
  private readonly partitions = new Map<string, PrefixTree<Entry>>();
  /** How many entries use each snapshot. */
  private readonly holders = new Map<RowSnapshot, number>();
  private readonly counts = new PrefixCounts();
  private usedBytes = 0;

  constructor(budgetBytes: number, bytesPerToken: number) {
    this.budgetBytes = budgetBytes;
    this.bytesPerToken = bytesPerToken;
  }

  get bytes(): number {
    return this.usedBytes;
  }

  /** What has changed since it was last asked; undefined: nothing. */
  takeReport(): PrefixReport | undefined {
    return this.counts.take();
  }

  /** Drops what is kept of these partitions. Sequences that began with it have their own copies. */
  clear({ partition, beginning = "" }: PrefixSelection): ClearedPrefixes {
    const isMeant = (name: string): boolean =>
      partition === undefined ? name.startsWith(beginning) : name === partition;
    const before = this.usedBytes;
    let entries = 0;
    for (const entry of this.entries) {
      if (!isMeant(partitionOf(entry.partition))) continue;
      this.drop(entry);
      entries += 1;
    }
    return { entries, bytes: before - this.usedBytes };
  }

  /**
   * Counts the lookup of a sequence that begins. Separate from `find`, which may run several times before there is room
   * for the sequence.
   */
  countLookup(partition: string, tokens: number, found: number): void {
    this.counts.lookedUp(partition, tokens, found);
  }

  /** The entry with the longest common prefix, if it is worth using. */
  find(partition: string, tokenIds: ReadonlyArray<PrefixId>): CachedPrefix | undefined {
    const best = this.partitions.get(partition)?.longest(tokenIds);
    if (best === undefined || best.tokens < minCachedTokens) return undefined;
    this.touch(best.value);
    return { pieces: best.value.pieces, tokens: best.tokens };
  }

  /**
   * Stores a sequence if that adds anything.
   *
   * @param copy copies its tokens from this one on
   */
  store(partition: string, tokenIds: ReadonlyArray<PrefixId>, copy: (from: number) => RowSnapshot): void {
    if (tokenIds.length < minCachedTokens || tokenIds.length * this.bytesPerToken > this.budgetBytes) return;
    const tree = this.partitions.get(partition) ?? new PrefixTree<Entry>();
    const known = tree.longest(tokenIds);
    if (known?.tokens === tokenIds.length) {
      this.touch(known.value);
      return;
    }
    const shared =
      known === undefined || known.tokens < minCachedTokens ? [] : firstOf(known.value.pieces, known.tokens);
    const pieces = shared.length < maxPieces ? shared : [];
    const from = pieces.reduce((sum, { tokens }) => sum + tokens, 0);
    const entry = {
      partition,
      tokenIds,
      pieces: [...pieces, { snapshot: copy(from), tokens: tokenIds.length - from }],
    };
    this.hold(entry);
    this.counts.stored(partition);
    for (const beginning of tree.beginningsOf(tokenIds)) this.drop(beginning);
    this.partitions.set(partition, tree);
    tree.set(tokenIds, entry);
    this.entries.add(entry);
    for (const oldest of this.entries) {
      if (this.usedBytes <= this.budgetBytes) break;
      this.drop(oldest, true);
    }
  }

  private touch(entry: Entry): void {
    this.entries.delete(entry);
    this.entries.add(entry);
  }

  private hold({ partition, pieces }: Entry): void {
    for (const { snapshot } of pieces) {
      const holders = this.holders.get(snapshot) ?? 0;
      this.holders.set(snapshot, holders + 1);
      if (holders > 0) continue;
      this.usedBytes += snapshot.bytes;
      this.counts.grew(partition, snapshot.bytes);
      for (const tensor of tensorsOf(snapshot)) tensor.keep();
    }
  }

  private drop(entry: Entry, isEvicted = false): void {
    if (!this.entries.delete(entry)) return;
    this.counts.dropped(entry.partition, isEvicted);
    for (const { snapshot } of entry.pieces) {
      const others = (this.holders.get(snapshot) ?? 0) - 1;
      if (others > 0) this.holders.set(snapshot, others);
      else {
        this.holders.delete(snapshot);
        this.usedBytes -= snapshot.bytes;
        this.counts.grew(entry.partition, -snapshot.bytes);
        for (const tensor of tensorsOf(snapshot)) tensor.dispose();
      }
    }
    const tree = this.partitions.get(entry.partition);
    tree?.delete(entry.tokenIds);
    if (tree?.isEmpty === true) this.partitions.delete(entry.partition);
  }
}

const tensorsOf = ({ keys, values }: RowSnapshot): ReadonlyArray<Tensor> => [...keys, ...values];

const firstOf = (pieces: ReadonlyArray<SnapshotPiece>, tokens: number): ReadonlyArray<SnapshotPiece> => {
  const first: SnapshotPiece[] = [];
  let left = tokens;
  for (const { snapshot, tokens: own } of pieces) {
    if (left <= 0) break;
    first.push({ snapshot, tokens: Math.min(own, left) });
    left -= own;
  }
  return first;
};

/** The length of the common prefix of two sequences. */
export const commonPrefix = (a: ReadonlyArray<PrefixId>, b: ReadonlyArray<PrefixId>): number => {
  const length = Math.min(a.length, b.length);
  let common = 0;
  while (common < length && a[common] === b[common]) common += 1;
  return common;
};
