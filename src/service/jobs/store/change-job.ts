/** Locks a job's row, and changes its state. */
import { JobNotFound } from "../../domain/errors.ts";
import { type Job, type JobEvent, type JobState, nextJobState } from "../../domain/job.ts";
import type { Row, Session } from "./Database.ts";
import { jobColumns, jobFromRow } from "./records.ts";
import { toStored } from "./stored-json.ts";

export const isJobId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** No other session can change the job or its items until the transaction ends. Throws JobNotFound. */
export const lockJob = async ({ query }: Session, jobId: string, tenant: string): Promise<Job> => {
  const isLocked =
    isJobId(jobId) &&
    (await query("SELECT 1 FROM mlxd.job WHERE id = $1 AND tenant = $2 FOR UPDATE", [jobId, tenant])).length > 0;
  if (!isLocked) throw new JobNotFound({ jobId });
  return readJob({ query }, jobId, tenant);
};

/** Throws JobNotFound. */
export const readJob = async ({ query }: Session, jobId: string, tenant: string): Promise<Job> => {
  const [row] = isJobId(jobId)
    ? await query(`SELECT ${jobColumns} FROM mlxd.job j WHERE j.id = $1 AND j.tenant = $2`, [jobId, tenant])
    : [];
  if (row === undefined) throw new JobNotFound({ jobId });
  return jobFromRow(row);
};

/** What readers of a job's results and events need of it, without counting what runs. */
export interface JobProgress {
  readonly state: JobState;
  readonly sealed: boolean;
  readonly total: number;
  readonly lastSequence: number;
}

/** Throws JobNotFound. */
export const readProgress = async ({ query }: Session, jobId: string, tenant: string): Promise<JobProgress> => {
  const [row] = isJobId(jobId)
    ? await query(`SELECT ${progressColumns} FROM mlxd.job WHERE id = $1 AND tenant = $2`, [jobId, tenant])
    : [];
  if (row === undefined) throw new JobNotFound({ jobId });
  return progressFrom(row);
};

export const progressColumns = "state, sealed, total, last_sequence";

export const progressFrom = (row: Row): JobProgress => ({
  state: row["state"] as JobState, // as it was written
  sealed: row["sealed"] === true,
  total: Number(row["total"]),
  lastSequence: Number(row["last_sequence"]),
});

interface ChangingJob {
  readonly id: string;
  readonly state: JobState;
  readonly sealed: boolean;
  readonly lastSequence: number;
}

/** Applies `event` to a locked job and records it for watchers; nothing changes if the event does not apply. */
export const changeJob = async <J extends ChangingJob>(session: Session, job: J, event: JobEvent): Promise<J> => {
  const state = nextJobState(job.state, event);
  if (state === undefined || state === job.state) return job;
  const changed = { ...job, state, lastSequence: job.lastSequence + 1 };
  const begins = state === "in-progress";
  await session.query(
    begins
      ? "UPDATE mlxd.job SET state = $2, last_sequence = $3, started_at = coalesce(started_at, now()) WHERE id = $1"
      : `UPDATE mlxd.job SET state = $2, last_sequence = $3, finished_at = now(),
         delete_at = now() + (options->>'retentionMs')::float8 * interval '1 ms' WHERE id = $1`,
    [job.id, state, changed.lastSequence],
  );
  await tellChange(session, changed);
  return changed;
};

/** Seals a locked job. */
export const sealJob = async <J extends ChangingJob>(session: Session, job: J): Promise<J> => {
  if (job.sealed) return job;
  const changed = { ...job, sealed: true, lastSequence: job.lastSequence + 1 };
  await session.query("UPDATE mlxd.job SET sealed = true, last_sequence = $2 WHERE id = $1", [
    job.id,
    changed.lastSequence,
  ]);
  await tellChange(session, changed);
  return changed;
};

export const tellChange = ({ query }: Session, { id, lastSequence, state, sealed }: ChangingJob): Promise<unknown> =>
  query("INSERT INTO mlxd.event (job_id, sequence, event) VALUES ($1, $2, $3)", [
    id,
    lastSequence,
    toStored({ type: "job", state, sealed }),
  ]);
