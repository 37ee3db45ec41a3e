/** Creates jobs, and appends items to them. */
import { randomUUID } from "node:crypto";
import type { PgBoss } from "pg-boss";

import type { Caller } from "../../domain/Caller.ts";
import { JobConflict, JobGap, JobNotFound, JobOver, JobSealed } from "../../domain/errors.ts";
import { endOf, isOver, type Job, type JobOptions } from "../../domain/job.ts";
import { appendItems, createQueues, type NewItem } from "./append-items.ts";
import { changeJob, isJobId, lockJob, readJob, sealJob, tellChange } from "./change-job.ts";
import type { Database, Session } from "./Database.ts";

export interface NewJob {
  readonly caller: Caller;
  readonly requestId: string;
  readonly items: ReadonlyArray<NewItem>;
  readonly sealed: boolean;
  readonly options: JobOptions;
  /** The defaults for items that are appended later, in the format of the store's caller. */
  readonly defaults: string;
  /** Equal for requests with the same content, field by field. */
  readonly fingerprint: Readonly<Record<string, unknown>>;
}

/** Throws JobConflict, JobTooLarge and InvalidField. */
export const createJob = async (
  database: Database,
  boss: PgBoss,
  job: NewJob,
): Promise<{ readonly job: Job; readonly created: boolean }> => {
  const { tenant } = job.caller;
  const known = await findByRequest(database, tenant, job);
  if (known !== undefined) return { job: await readJob(database, known, tenant), created: false };
  const id = randomUUID();
  await createQueues(boss, id, job.items);
  return database.transaction(async (session) => {
    const inserted = await session.query(
      `INSERT INTO mlxd.job (id, tenant, caller, request_id, fingerprint, state, sealed, single, options, labels, priority,
       last_sequence, expires_at, defaults)
       VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $9, $10, 1, now() + $11 * interval '1 ms', $12)
       ON CONFLICT (tenant, request_id) DO NOTHING RETURNING 1`,
      [
        id,
        tenant,
        JSON.stringify(job.caller),
        job.requestId,
        JSON.stringify(job.fingerprint),
        job.sealed,
        job.sealed && job.items.length === 1,
        JSON.stringify(job.options),
        JSON.stringify(job.options.labels),
        job.options.priority,
        job.options.expiresAfterMs,
        job.defaults,
      ],
    );
    if (inserted.length === 0) {
      // Another call with the same request id was first.
      const other = (await findByRequest(session, tenant, job)) ?? id;
      return { job: await readJob(session, other, tenant), created: false };
    }
    await tellChange(session, { id, lastSequence: 1, state: "pending", sealed: job.sealed });
    await appendItems(session, boss, { id, total: 0, failed: 0, itemBytes: 0, lastSequence: 1 }, job.items);
    await endWhereAllSettled(session, await lockJob(session, id, tenant));
    return { job: await readJob(session, id, tenant), created: true };
  });
};

/** The job with a request id. Throws JobConflict if it was requested differently. */
const findByRequest = async (
  { query }: Session,
  tenant: string,
  { requestId, fingerprint }: NewJob,
): Promise<string | undefined> => {
  const [row] = await query("SELECT id::text, fingerprint FROM mlxd.job WHERE tenant = $1 AND request_id = $2", [
    tenant,
    requestId,
  ]);
  if (row === undefined) return undefined;
  const id = String(row["id"]);
  const before = row["fingerprint"] as NewJob["fingerprint"];
  const differs = Object.keys(fingerprint).filter((key) => before[key] !== fingerprint[key]);
  if (differs.length > 0) throw new JobConflict({ requestId, jobId: id, differs });
  return id;
};

/**
 * Returns how many items the job has now. Throws JobNotFound, JobGap, JobSealed, JobOver, JobConflict, JobTooLarge and
 * InvalidField.
 */
export const appendToJob = async (
  database: Database,
  boss: PgBoss,
  {
    tenant,
    jobId,
    offset,
    items,
    seal,
  }: {
    readonly tenant: string;
    readonly jobId: string;
    readonly offset: number;
    readonly items: ReadonlyArray<NewItem>;
    readonly seal: boolean;
  },
): Promise<number> => {
  const { counts, state } = await readJob(database, jobId, tenant);
  if (!isOver(state) && offset + items.length > counts.total) await createQueues(boss, jobId, items);
  return database.transaction(async (session) => {
    let job = await lockJob(session, jobId, tenant);
    const { total } = job.counts;
    if (offset > total) throw new JobGap({ jobId, offset, expectedOffset: total });
    const isRepeated = offset + items.length <= total;
    await assertSame(session, job, offset, items.slice(0, total - offset));
    if (!isRepeated) {
      if (isOver(job.state)) throw new JobOver({ jobId, state: job.state });
      if (job.sealed) throw new JobSealed({ jobId, total });
      const { id, counts, itemBytes, lastSequence } = job;
      const added = items.slice(total - offset);
      await appendItems(session, boss, { id, ...counts, itemBytes, lastSequence }, added, total - offset);
      job = await readJob(session, jobId, tenant);
    }
    if (seal && !isOver(job.state)) await endWhereAllSettled(session, await sealJob(session, job));
    return job.counts.total;
  });
};

/** Items that are sent again have to equal the existing ones. */
const assertSame = async (
  { query }: Session,
  { id, requestId }: Job,
  offset: number,
  repeated: ReadonlyArray<NewItem>,
): Promise<void> => {
  if (repeated.length === 0) return;
  const rows = await query(
    "SELECT index, hash FROM mlxd.item WHERE job_id = $1 AND index >= $2 AND index < $3 ORDER BY index",
    [id, offset, offset + repeated.length],
  );
  const other = rows.find((row) => row["hash"] !== repeated[Number(row["index"]) - offset]?.hash);
  if (other !== undefined) {
    throw new JobConflict({ requestId, jobId: id, differs: [`items[${Number(other["index"]) - offset}]`] });
  }
};

/** Throws JobNotFound, JobGap and JobOver. */
export const sealWhole = (
  database: Database,
  { tenant, jobId, total }: { readonly tenant: string; readonly jobId: string; readonly total: number | undefined },
): Promise<Job> =>
  database.transaction(async (session) => {
    const job = await lockJob(session, jobId, tenant);
    const { counts } = job;
    if (total !== undefined && total !== counts.total) {
      throw new JobGap({ jobId, offset: total, expectedOffset: counts.total });
    }
    if (!job.sealed) {
      if (isOver(job.state)) throw new JobOver({ jobId, state: job.state });
      await endWhereAllSettled(session, await sealJob(session, job));
    }
    return readJob(session, jobId, tenant);
  });

/** A sealed job whose items all have outcomes is over. */
const endWhereAllSettled = async (session: Session, job: Job): Promise<void> => {
  const end = endOf(job);
  if (end !== undefined) await changeJob(session, job, end);
};

/** The defaults that the job was created with. */
export const readDefaults = async ({ query }: Session, tenant: string, jobId: string): Promise<string> => {
  const [row] = isJobId(jobId)
    ? await query("SELECT defaults FROM mlxd.job WHERE id = $1 AND tenant = $2", [jobId, tenant])
    : [];
  if (row === undefined) throw new JobNotFound({ jobId });
  return String(row["defaults"]);
};
