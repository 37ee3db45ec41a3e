/** Sequences whose prompts are computed together, slice by slice, before they join the batch. */
import type { CacheShape } from "../cache/cache-size.ts";
import { KVCache } from "../cache/kv-cache.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { Sequence } from "../sequence/sequence.ts";
import { type Chosen, tensorsOfChosen } from "./batch.ts";
import { EmbeddingPool } from "./embedding-pool.ts";
import { spareColumns } from "./memory-plan.ts";
import { type Candidate, uncachedTokens } from "./prefill-group.ts";

export class Prefill {
  readonly cache: KVCache;
  /** Undefined: the sequence has left. */
  readonly rows: Array<Sequence | undefined>;
  /** int32 [rows, columns], padded on the left. */
  readonly tokens: Tensor;
  readonly columns: number;
  /** How many prompt tokens of each sequence come from the prefix cache. */
  readonly cachedTokens: ReadonlyArray<number>;
  /** Set for embeddings, which never join the batch. */
  readonly pool: EmbeddingPool | undefined;
  /** How many slices were started. */
  slices = 0;
  /** The first output tokens; set when the last slice was started. */
  chosen: Chosen | undefined;
  /** Whether a step has passed since then. */
  rested = false;
  /** Whether the vectors were reported, so that nothing is left to do. */
  ended = false;

  /** Copies the cached prefixes into the prefill's cache. */
  constructor(shape: CacheShape, group: ReadonlyArray<Candidate>) {
    const lengths = group.map(({ sequence }) => sequence.promptTokenIds.length);
    const remaining = Math.max(...group.map(uncachedTokens));
    const spare = Math.min(spareColumns, Math.max(...group.map(({ sequence }) => sequence.remainingTokens)));
    this.columns = Math.max(...lengths);
    this.rows = group.map(({ sequence }) => sequence);
    this.cache = new KVCache(shape, lengths, spare, remaining);
    // All rows compute the same columns, so the row with the shortest cached prefix decides for all.
    this.cachedTokens = lengths.map((length) => Math.max(0, length - remaining));
    for (const [row, { prefix }] of group.entries()) {
      if (prefix !== undefined && (this.cachedTokens[row] ?? 0) > 0) this.cache.load(row, prefix.pieces);
    }
    const padded = group.map(({ sequence: { promptTokenIds } }) => [
      ...Array.from({ length: this.columns - promptTokenIds.length }, () => 0),
      ...promptTokenIds,
    ]);
    this.tokens = mx.array(padded, mx.int32);
    const sequences = group.map(({ sequence }) => sequence);
    this.pool = sequences.some(({ embedding }) => embedding !== undefined) ? new EmbeddingPool(sequences) : undefined;
  }

  /** The tensors that later slices need, and the first output tokens. */
  get tensors(): ReadonlyArray<Tensor> {
    const { tokens, cache, pool, chosen } = this;
    return [
      tokens,
      ...cache.tensors,
      ...(pool?.arrays ?? []),
      ...(chosen === undefined ? [] : tensorsOfChosen(chosen)),
    ];
  }

  /** The sequences that have not left. */
  get sequences(): ReadonlyArray<Sequence> {
    return this.rows.filter((sequence) => sequence !== undefined);
  }
}
