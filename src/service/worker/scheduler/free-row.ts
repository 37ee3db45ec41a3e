/** Takes a sequence out of its row and stores what was computed of it in the prefix cache. */
import type { KVCache } from "../cache/kv-cache.ts";
import type { PrefixCache } from "../cache/prefix-cache.ts";
import type { Sequence } from "../sequence/sequence.ts";

/** Sequences in rows of one cache; undefined for a free row. */
export interface CacheRows {
  readonly cache: KVCache;
  readonly rows: Array<Sequence | undefined>;
}

/** Takes the sequence out of its row, if there is one. */
export const freeRow = (prefixes: PrefixCache, { cache, rows }: CacheRows, row: number): void => {
  const sequence = rows[row];
  if (sequence === undefined) return;
  cachePrefix(prefixes, cache, row, sequence);
  rows[row] = undefined;
  cache.release(row);
};

/** Copies the row into the prefix cache, as far as the sequence's cache policy allows. */
export const cachePrefix = (prefixes: PrefixCache, cache: KVCache, row: number, sequence: Sequence): void => {
  const { write, partition, stablePrefixTokens = Infinity } = sequence.cache;
  if (!write) return;
  const tokenIds = sequence.tokenIds.slice(0, Math.min(cache.length(row), stablePrefixTokens));
  prefixes.store(partition, tokenIds, (from) => cache.snapshot(row, from, tokenIds.length));
};
