/** Finds lanes with waiting items, and takes items from them. */
import type { PgBoss } from "pg-boss";

import type { Caller } from "../../domain/Caller.ts";
import { JobNotFound } from "../../domain/errors.ts";
import { isOver, type JobOptions } from "../../domain/job.ts";
import { changeJob, type JobProgress, progressColumns, progressFrom } from "./change-job.ts";
import type { Database, Row, Session } from "./Database.ts";
import { keptAttempts, ms } from "./records.ts";

/** The items of a job for one model, some of which may be ready. */
export interface Lane {
  readonly jobId: string;
  /** The model's name in the items. */
  readonly model: string;
  readonly queue: string;
  readonly tenant: string;
  readonly priority: number;
  /** The place of its job, in the order of creation. */
  readonly place: number;
}

/** Per tenant: the lanes of its jobs that go first. */
const lanesOfTenant = 64;

/** The lanes of jobs that are not over, for each tenant those that go first. */
export const listLanes = async ({ query }: Database): Promise<ReadonlyArray<Lane>> => {
  const rows = await query(
    `SELECT * FROM (
       SELECT l.job_id::text, l.model, l.queue, j.tenant, j.priority, j.place::float8,
         row_number() OVER (PARTITION BY j.tenant ORDER BY j.priority DESC, j.place, l.model) AS rank
       FROM mlxd.lane l JOIN mlxd.job j ON j.id = l.job_id
       WHERE l.waiting > 0 AND j.state IN ('pending', 'in-progress') AND j.expires_at > now()
     ) ranked WHERE rank <= $1`,
    [lanesOfTenant],
  );
  return rows.map((row) => ({
    jobId: String(row["job_id"]),
    model: String(row["model"]),
    queue: String(row["queue"]),
    tenant: String(row["tenant"]),
    priority: Number(row["priority"]),
    place: Number(row["place"]),
  }));
};

/** An item that this host has to run. */
export interface TakenItem {
  readonly jobId: string;
  readonly index: number;
  readonly queue: string;
  /** JSON text. */
  readonly task: string;
  readonly caller: Caller;
  /** Whether it is the only item of its job, whose watchers receive its generation's events. */
  readonly single: boolean;
  /** The number of the attempt that begins, from 1; it has to be given when the item is settled. */
  readonly attempt: number;
  /** How many earlier attempts count. */
  readonly counted: number;
  readonly maxAttempts: number;
  readonly expiresAt: number;
}

export interface Host {
  readonly id: string;
  readonly name: string;
}

/** Takes up to `count` ready items of a lane, fewer if its job already runs as many as it may. */
export const takeItems = (
  database: Database,
  boss: PgBoss,
  host: Host,
  lane: Lane,
  count: number,
): Promise<ReadonlyArray<TakenItem>> =>
  database.transaction(async (session) => {
    const job = await lockForTaking(session, lane);
    const { maxParallel, maxAttempts } = job.options;
    const free = isOver(job.state) ? 0 : Math.min(count, maxParallel - (await countRunning(session, lane.jobId)));
    if (free <= 0) return [];
    const fetched = await boss.fetch<{ readonly index: number }>(lane.queue, { batchSize: free });
    if (fetched.length === 0) return [];
    const rows = await session.query(
      `UPDATE mlxd.item i SET state = 'in-progress', host = $3, attempt = attempt + 1, retry_at = NULL, attempts = (
         SELECT coalesce(jsonb_agg(a ORDER BY n), '[]') FROM (
           SELECT a, n FROM jsonb_array_elements(i.attempts) WITH ORDINALITY AS e(a, n) ORDER BY n DESC LIMIT $5
         ) kept
       ) || jsonb_build_object('n', i.attempt + 1, 's', floor(extract(epoch FROM clock_timestamp()) * 1000), 'host', $4::text)
       FROM mlxd.job j WHERE i.job_id = $1 AND j.id = $1 AND i.index = ANY($2) AND i.state = 'pending'
       RETURNING i.index, i.task, i.attempt, i.counted, j.caller, j.single`,
      [lane.jobId, fetched.map(({ data }) => data.index), host.id, host.name, keptAttempts - 1],
    );
    await changeJob(session, job, "start");
    return rows.map((row) => takenFrom(row, lane, maxAttempts, job.expiresAt)).toSorted((a, b) => a.index - b.index);
  });

interface TakingJob extends JobProgress {
  readonly id: string;
  readonly options: JobOptions;
  readonly expiresAt: number;
}

/** Throws JobNotFound. */
const lockForTaking = async ({ query }: Session, { jobId, tenant }: Lane): Promise<TakingJob> => {
  const [row] = await query(
    `SELECT ${progressColumns}, options, ${ms("expires_at")} FROM mlxd.job WHERE id = $1 AND tenant = $2 FOR UPDATE`,
    [jobId, tenant],
  );
  if (row === undefined) throw new JobNotFound({ jobId });
  return {
    ...progressFrom(row),
    id: jobId,
    options: row["options"] as JobOptions, // as it was written
    expiresAt: Number(row["expires_at"]),
  };
};

/** A statement of its own: one that waited for the lock may have counted before it had it. */
const countRunning = async ({ query }: Session, jobId: string): Promise<number> => {
  const [row] = await query(
    "SELECT count(*)::int AS running FROM mlxd.item WHERE job_id = $1 AND state = 'in-progress'",
    [jobId],
  );
  return Number(row?.["running"]);
};

const takenFrom = (row: Row, { jobId, queue }: Lane, maxAttempts: number, expiresAt: number): TakenItem => ({
  jobId,
  queue,
  index: Number(row["index"]),
  task: String(row["task"]),
  caller: row["caller"] as Caller, // as it was written
  single: row["single"] === true,
  attempt: Number(row["attempt"]),
  counted: Number(row["counted"]),
  maxAttempts,
  expiresAt,
});
