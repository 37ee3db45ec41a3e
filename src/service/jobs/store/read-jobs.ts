/** Reads jobs, items, outcomes and events. */
import { SequenceOutOfRange } from "../../domain/errors.ts";
import {
  isOver,
  type ItemOutcome,
  type ItemResult,
  type Job,
  type JobItem,
  type JobState,
  type WatchEvent,
} from "../../domain/job.ts";
import { readProgress } from "./change-job.ts";
import type { Row, Session } from "./Database.ts";
import { itemFromRow, jobColumns, jobFromRow, ms, outcomeFromStored } from "./records.ts";
import { fromStored } from "./stored-json.ts";

export interface Page<A> {
  readonly rows: ReadonlyArray<A>;
  /** Where the next page begins; undefined on the last page. */
  readonly next: number | undefined;
}

/** Makes a page of rows that were read with one more than its size. */
const pageOf = <A>(rows: ReadonlyArray<A>, size: number, place: (row: A) => number): Page<A> => {
  const page = rows.slice(0, size);
  const last = page.at(-1);
  return { rows: page, next: rows.length > size && last !== undefined ? place(last) : undefined };
};

/** Newest first. @param before the value from the previous page; undefined for the first */
export const listJobs = async (
  { query }: Session,
  tenant: string,
  {
    size,
    before,
    states,
    labels,
  }: {
    readonly size: number;
    readonly before: number | undefined;
    readonly states: ReadonlyArray<JobState>;
    readonly labels: Readonly<Record<string, string>>;
  },
): Promise<Page<Job>> => {
  const rows = await query(
    `SELECT ${jobColumns} FROM mlxd.job j WHERE j.tenant = $1 AND ($2::bigint IS NULL OR j.place < $2)
     AND (cardinality($3::text[]) = 0 OR j.state = ANY($3)) AND j.labels @> $4::jsonb ORDER BY j.place DESC LIMIT $5`,
    [tenant, before ?? null, [...states], JSON.stringify(labels), size + 1],
  );
  const page = pageOf(rows, size, (row) => Number(row["place"]));
  return { rows: page.rows.map(jobFromRow), next: page.next };
};

/** Throws JobNotFound. @param from index of the first item */
export const listItems = async (
  session: Session,
  tenant: string,
  {
    jobId,
    size,
    from,
    states,
  }: {
    readonly jobId: string;
    readonly size: number;
    readonly from: number;
    readonly states: ReadonlyArray<JobState>;
  },
): Promise<Page<JobItem>> => {
  const { state } = await readProgress(session, jobId, tenant);
  // An item without an outcome has the state of its job once that is over.
  const shown = isOver(state) ? `CASE WHEN sequence IS NULL THEN '${state}' ELSE state END` : "state";
  const rows = await session.query(
    `SELECT index, item_id, state, attempts, ${ms("retry_at")} FROM mlxd.item WHERE job_id = $1 AND index >= $2
     AND (cardinality($3::text[]) = 0 OR ${shown} = ANY($3)) ORDER BY index LIMIT $4`,
    [jobId, from, [...states], size + 1],
  );
  const page = pageOf(rows, size, (row) => Number(row["index"]) + 1);
  return { rows: page.rows.map((row) => itemFromRow(row, state)), next: page.next };
};

/** How far a read has come. */
export interface Reached {
  /** Whether these were all that there were: more come with a change of the job. */
  readonly isAll: boolean;
  /** Whether nothing follows these, now or later. */
  readonly isEnd: boolean;
}

export interface Outcomes extends Reached {
  readonly results: ReadonlyArray<ItemResult>;
}

/** Per read; an outcome may be large. */
const outcomesAtOnce = 50;

/** In the order of the items, up to the first without an outcome. Throws JobNotFound and SequenceOutOfRange. */
export const outcomesInOrder = async (
  session: Session,
  tenant: string,
  jobId: string,
  from: number,
): Promise<Outcomes> => {
  const job = await readProgress(session, jobId, tenant);
  assertReached(jobId, from, job.total);
  const rows = await session.query(
    `SELECT index, item_id, attempt, outcome FROM mlxd.item WHERE job_id = $1 AND index >= $2 AND index < $3 ORDER BY index`,
    [jobId, from, from + outcomesAtOnce],
  );
  const results: ItemResult[] = [];
  for (const row of rows) {
    const outcome = outcomeOf(row, job.state);
    if (outcome === undefined) break;
    results.push(resultFrom(row, outcome, Number(row["index"]) + 1));
  }
  const isWhole = job.sealed || isOver(job.state);
  return {
    results,
    isAll: results.length < outcomesAtOnce,
    isEnd: isWhole && from + results.length >= job.total,
  };
};

/**
 * In the order in which they finished; then those that the end of their job left without an outcome. Throws JobNotFound
 * and SequenceOutOfRange.
 */
export const outcomesAsFinished = async (
  session: Session,
  tenant: string,
  jobId: string,
  after: number,
): Promise<Outcomes> => {
  const job = await readProgress(session, jobId, tenant);
  // Items without an outcome come after all sequence numbers, by their index.
  const left = job.lastSequence + 1;
  assertReached(jobId, after, isOver(job.state) ? left + job.total : job.lastSequence);
  const settled = await session.query(
    `SELECT index, item_id, attempt, outcome, sequence FROM mlxd.item WHERE job_id = $1 AND sequence > $2
     ORDER BY sequence LIMIT $3`,
    [jobId, after, outcomesAtOnce],
  );
  if (settled.length > 0 || !isOver(job.state)) {
    const results = settled.flatMap((row) => {
      const outcome = outcomeOf(row, job.state);
      return outcome === undefined ? [] : [resultFrom(row, outcome, Number(row["sequence"]))];
    });
    return { results, isAll: settled.length < outcomesAtOnce && !isOver(job.state), isEnd: false };
  }
  const rows = await session.query(
    `SELECT index, item_id, attempt, NULL AS outcome FROM mlxd.item WHERE job_id = $1 AND sequence IS NULL AND index > $2
     ORDER BY index LIMIT $3`,
    [jobId, after >= left ? after - left : -1, outcomesAtOnce],
  );
  const results = rows.flatMap((row) => {
    const outcome = outcomeOf(row, job.state);
    return outcome === undefined ? [] : [resultFrom(row, outcome, left + Number(row["index"]))];
  });
  return { results, isAll: true, isEnd: results.length < outcomesAtOnce };
};

const assertReached = (jobId: string, sequence: number, last: number): void => {
  if (sequence > last) throw new SequenceOutOfRange({ jobId, sequence, last });
};

const outcomeOf = (row: Row, job: JobState): ItemOutcome | undefined => {
  const { outcome } = row;
  if (typeof outcome === "string") return outcomeFromStored(outcome);
  return job === "cancelled" || job === "expired" ? { type: job } : undefined;
};

const resultFrom = (row: Row, outcome: ItemOutcome, cursor: number): ItemResult => ({
  cursor,
  index: Number(row["index"]),
  itemId: String(row["item_id"]) || String(row["index"]),
  attempts: Number(row["attempt"]),
  outcome,
});

export interface Events extends Reached {
  readonly events: ReadonlyArray<WatchEvent>;
}

/** Per read. */
const eventsAtOnce = 500;

/** Throws JobNotFound and SequenceOutOfRange. */
export const eventsAfter = async (session: Session, tenant: string, jobId: string, after: number): Promise<Events> => {
  const { state, lastSequence } = await readProgress(session, jobId, tenant);
  assertReached(jobId, after, lastSequence);
  const rows = await session.query(
    `(SELECT sequence, event, NULL::int AS index, NULL AS item_id, NULL AS state FROM mlxd.event
      WHERE job_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3)
     UNION ALL
     (SELECT sequence, NULL, index, item_id, state FROM mlxd.item
      WHERE job_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3)
     ORDER BY sequence LIMIT $3`,
    [jobId, after, eventsAtOnce],
  );
  const events = rows.map(eventFrom);
  const isAll = events.length < eventsAtOnce;
  return { events, isAll, isEnd: isOver(state) && (events.at(-1)?.sequence ?? after) >= lastSequence };
};

const eventFrom = (row: Row): WatchEvent => {
  const sequence = Number(row["sequence"]);
  const { event } = row;
  if (typeof event === "string") return { sequence, ...fromStored<Omit<WatchEvent, "sequence">>(event) } as WatchEvent;
  const index = Number(row["index"]);
  const state = row["state"] === "completed" ? "completed" : "failed";
  return { sequence, type: "item", index, itemId: String(row["item_id"]) || String(index), state };
};

/** Those of these jobs that are over or deleted. */
export const endedJobs = async ({ query }: Session, jobIds: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const rows = await query(
    "SELECT id::text FROM mlxd.job WHERE id = ANY($1::uuid[]) AND state IN ('pending', 'in-progress')",
    [[...jobIds]],
  );
  const open = new Set(rows.map((row) => row["id"]));
  return jobIds.filter((jobId) => !open.has(jobId));
};
