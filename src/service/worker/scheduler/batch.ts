/** The rows of sequences that decode together: how sequences join, and how the batch shrinks after some have left. */
import type { KVCache } from "../cache/kv-cache.ts";
import { type PendingLogprobs, tensorsOf } from "../sampling/logprobs.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { Sequence } from "../sequence/sequence.ts";

/** Sequences that are computed together, in rows of one cache. */
export interface Batch {
  readonly cache: KVCache;
  /** Undefined: the row is free. */
  rows: Array<Sequence | undefined>;
  /** int32 [rows]: chosen by the device, not yet fed. */
  next: Tensor;
  /** Logprobs of `next`, for the rows that requested them. */
  logprobs: ReadonlyArray<PendingLogprobs<Sequence>>;
}

/** The tokens that follow a forward pass. */
export type Chosen = Pick<Batch, "next" | "logprobs">;

export const tensorsOfChosen = ({ next, logprobs }: Chosen): ReadonlyArray<Tensor> => [
  next,
  ...logprobs.flatMap(({ tensors }) => tensorsOf(tensors)),
];

/**
 * Moves sequences whose prompts are computed into free rows of the batch, adding rows if there are too few. If the
 * batch is empty, their own cache becomes the batch's.
 */
export const joinBatch = (
  batch: Batch | undefined,
  { cache, rows }: Pick<Batch, "cache" | "rows">,
  { next, logprobs }: Chosen,
): Batch => {
  if (batch === undefined || rowsInUse(batch).length === 0) return { cache, rows, next, logprobs };
  const joining = [...rows.entries()].filter(([, sequence]) => sequence !== undefined);
  const free = [...batch.rows.entries()].flatMap(([row, sequence]) => (sequence === undefined ? [row] : []));
  const missing = joining.length - free.length;
  if (missing > 0) {
    batch.cache.addRows(missing);
    for (let i = 0; i < missing; i++) free.push(batch.rows.push(undefined) - 1);
  }
  // For each row, the index of its token among [old ones, new ones], for one gather.
  const origin = [...batch.rows.keys()].map((row) => Math.min(row, batch.next.size - 1));
  for (const [sourceRow, sequence] of joining) {
    const row = free.shift();
    if (row === undefined) throw new RangeError("no free row for a prefilled sequence");
    batch.cache.insert(row, cache, sourceRow);
    batch.rows[row] = sequence;
    origin[row] = batch.next.size + sourceRow;
  }
  batch.logprobs = [...batch.logprobs, ...logprobs];
  batch.next = mx.take(mx.concatenate([batch.next, next], 0), mx.array(origin, mx.int32), 0);
  mx.asyncEval(batch.next);
  return batch;
};

/** Keeps only these rows. */
export const shrinkBatch = (batch: Batch, live: ReadonlyArray<number>): void => {
  batch.cache.select([...live]);
  batch.next = mx.take(batch.next, mx.array([...live], mx.int32), 0);
  batch.rows = live.map((row) => batch.rows[row]);
};

export const rowsInUse = ({ rows }: Pick<Batch, "rows">): number[] =>
  [...rows.entries()].flatMap(([row, sequence]) => (sequence === undefined ? [] : [row]));

/** The batch's sequences that have a chosen but unread token; undefined for the other rows. */
export const unreadRows = ({ rows }: Batch): Array<Sequence | undefined> =>
  rows.map((sequence) => (sequence?.unread === true ? sequence : undefined));
