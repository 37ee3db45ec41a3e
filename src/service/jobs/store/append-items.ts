/** Adds items to a job: their rows, and their places in pg-boss's queues. */
import { createHash } from "node:crypto";
import type { PgBoss } from "pg-boss";

import { JobTooLarge } from "../../domain/errors.ts";
import { jobLimits } from "../../domain/job.ts";
import type { Session } from "./Database.ts";
import { assertNewIds } from "./item-ids.ts";
import { itemUuid } from "./item-uuid.ts";
import { outcomeToStored, type SettledOutcome } from "./records.ts";

/** An item in its stored form. */
export interface NewItem {
  /** The caller's id; empty if it gave none. */
  readonly itemId: string;
  /** The model's name in the task. */
  readonly model: string;
  /** Equal for equal items. */
  readonly hash: string;
  /** JSON text; undefined if there is nothing to run. */
  readonly task: string | undefined;
  /** The outcome of an invalid item. */
  readonly outcome: SettledOutcome | undefined;
}

/** The part of the job's row that is needed; the row is locked. */
export interface AppendingJob {
  readonly id: string;
  readonly total: number;
  readonly failed: number;
  readonly itemBytes: number;
  readonly lastSequence: number;
}

const queueName = (jobId: string, model: string): string =>
  `${jobId}.${createHash("sha256").update(model).digest("hex").slice(0, 16)}`;

/**
 * Makes the queues for items of these models. This is not part of a transaction; the housekeeping removes a queue that
 * stays unused. Throws JobTooLarge.
 */
export const createQueues = async (boss: PgBoss, jobId: string, items: ReadonlyArray<NewItem>): Promise<void> => {
  const models = new Set(items.flatMap((item) => (item.task === undefined ? [] : [item.model])));
  assertWithin("models", models.size);
  for (const model of models) {
    // The runner decides how often an item is tried, not its queue.
    await boss.createQueue(queueName(jobId, model), { retryLimit: 1_000_000, retryDelay: 0, retryBackoff: false });
  }
};

/**
 * Call it within a transaction. Throws JobTooLarge and InvalidField.
 *
 * @param place of the first of these items in the request
 */
export const appendItems = async (
  { query }: Session,
  boss: PgBoss,
  job: AppendingJob,
  items: ReadonlyArray<NewItem>,
  place = 0,
): Promise<void> => {
  const bytes = items.reduce((sum, { task }) => sum + (task === undefined ? 0 : Buffer.byteLength(task)), 0);
  assertWithin("items", job.total + items.length);
  assertWithin("bytes", job.itemBytes + bytes);
  await assertNewIds({ query }, job, items, place);
  let sequence = job.lastSequence;
  const rows = items.map(({ outcome, ...item }, offset) => ({
    ...item,
    index: job.total + offset,
    state: outcome === undefined ? "pending" : "failed",
    outcome: outcome && outcomeToStored(outcome),
    sequence: outcome && ++sequence,
  }));
  for (let at = 0; at < rows.length; at += rowsAtOnce) {
    const some = rows.slice(at, at + rowsAtOnce);
    // Columns are read in half the time that objects of JSON take.
    await query(
      `INSERT INTO mlxd.item (job_id, index, item_id, model, hash, task, state, sequence, outcome)
       SELECT $1, * FROM unnest($2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::int[], $9::text[])`,
      [
        job.id,
        some.map(({ index }) => index),
        some.map(({ itemId }) => itemId),
        some.map(({ model }) => model),
        some.map(({ hash }) => hash),
        some.map(({ task }) => task ?? null),
        some.map(({ state }) => state),
        some.map(({ sequence }) => sequence ?? null),
        some.map(({ outcome }) => outcome ?? null),
      ],
    );
  }
  const failed = rows.filter(({ state }) => state === "failed").length;
  await enqueue({ query }, boss, job.id, rows);
  await query(
    `UPDATE mlxd.job SET total = total + $2, failed = failed + $3, item_bytes = item_bytes + $4, last_sequence = $5
     WHERE id = $1`,
    [job.id, items.length, failed, bytes, sequence],
  );
};

/** Per statement: enough to be fast, and not too much for the database. */
const rowsAtOnce = 500;

interface IndexedItem {
  readonly index: number;
  readonly model: string;
  readonly task: string | undefined;
}

const enqueue = async (
  { query }: Session,
  boss: PgBoss,
  jobId: string,
  rows: ReadonlyArray<IndexedItem>,
): Promise<void> => {
  const lanes = Map.groupBy(
    rows.filter(({ task }) => task !== undefined),
    ({ model }) => model,
  );
  for (const [model, ofModel] of lanes) {
    const queue = queueName(jobId, model);
    // All rows of a statement have the same time of creation: the priority preserves their order.
    const waiting = ofModel.map(({ index }) => ({ id: itemUuid(jobId, index), priority: -index, data: { index } }));
    for (let at = 0; at < waiting.length; at += rowsAtOnce) {
      await boss.insert(queue, waiting.slice(at, at + rowsAtOnce));
    }
    await query(
      `INSERT INTO mlxd.lane (job_id, model, queue, waiting) VALUES ($1, $2, $3, $4)
       ON CONFLICT (job_id, model) DO UPDATE SET waiting = mlxd.lane.waiting + excluded.waiting`,
      [jobId, model, queue, waiting.length],
    );
  }
  const [row] = await query("SELECT count(*)::int AS models FROM mlxd.lane WHERE job_id = $1", [jobId]);
  assertWithin("models", Number(row?.["models"]));
};

const assertWithin = (what: keyof typeof jobLimits, count: number): void => {
  const limit = jobLimits[what];
  if (count > limit) throw new JobTooLarge({ what, count, limit });
};
