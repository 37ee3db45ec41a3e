/** Records the outcomes of items, once each, even if several hosts report them, or one host repeatedly. */
import type { PgBoss } from "pg-boss";

import { HostLost } from "../../domain/errors.ts";
import type { GenerationEvent } from "../../domain/generation-result.ts";
import type { OutputOptions } from "../../domain/generation-task.ts";
import { endOf, isOver, type ItemFailure, type JobCounts } from "../../domain/job.ts";
import { noUsage, addUsage } from "../../domain/usage.ts";
import { changeJob, isJobId, type JobProgress, progressColumns, progressFrom } from "./change-job.ts";
import type { Database, Session } from "./Database.ts";
import { itemUuid } from "./item-uuid.ts";
import { endAttempt, outcomeToStored, type SettledOutcome, type StoredAttempt } from "./records.ts";
import type { Host, TakenItem } from "./take-items.ts";
import { toStored } from "./stored-json.ts";

/** An event for the watchers of a job with one item. */
export type GenerationRecord =
  | {
      readonly type: "generation";
      /** Counted from 0, as in StreamGenerate. */
      readonly number: number;
      readonly event: GenerationEvent;
      readonly reported: Pick<OutputOptions, "tokenIds" | "timings">;
    }
  | { readonly type: "restarted"; readonly attempt: number };

type RunningItem = Pick<TakenItem, "jobId" | "index" | "queue" | "attempt">;

export type Report = { readonly item: RunningItem; readonly events: ReadonlyArray<GenerationRecord> } & (
  | { readonly type: "outcome"; readonly outcome: SettledOutcome; readonly failure: ItemFailure | undefined }
  /** The item is run again. @property counts whether the attempt counts towards the limit */
  | { readonly type: "again"; readonly failure: ItemFailure; readonly afterMs: number; readonly counts: boolean }
  /** The attempt continues. */
  | { readonly type: "events" }
);

/**
 * Writes several reports in one transaction. A report is accepted while its attempt is the item's current one and the
 * job is not over; any other report changes nothing.
 *
 * @returns for each report whether it was accepted
 */
export const settleItems = (
  database: Database,
  boss: PgBoss,
  host: Host,
  reports: ReadonlyArray<Report>,
): Promise<ReadonlyArray<boolean>> =>
  database.transaction(async (session) => {
    const counted = new Set<Report>();
    const byJob = Map.groupBy(reports, ({ item }) => item.jobId);
    // In a fixed order, so that two hosts do not deadlock.
    for (const jobId of [...byJob.keys()].toSorted()) {
      for (const report of await settleJob(session, boss, host, jobId, byJob.get(jobId) ?? [])) counted.add(report);
    }
    return reports.map((report) => counted.has(report));
  });

interface CurrentItem {
  readonly attempts: ReadonlyArray<StoredAttempt>;
}

const settleJob = async (
  session: Session,
  boss: PgBoss,
  host: Host,
  jobId: string,
  reports: ReadonlyArray<Report>,
): Promise<ReadonlyArray<Report>> => {
  const job = await lockAny(session, jobId);
  if (job === undefined || isOver(job.state)) return [];
  const rows = await session.query(
    `SELECT index, attempt, attempts FROM mlxd.item
     WHERE job_id = $1 AND index = ANY($2) AND state = 'in-progress' AND host = $3`,
    [jobId, reports.map(({ item }) => item.index), host.id],
  );
  const current = new Map<string, CurrentItem>(
    rows.map((row) => [
      `${Number(row["index"])}/${Number(row["attempt"])}`,
      { attempts: row["attempts"] as ReadonlyArray<StoredAttempt> },
    ]),
  );
  let sequence = job.lastSequence;
  let usage = noUsage;
  const [settled, again, events]: [object[], object[], object[]] = [[], [], []];
  const [completed, failed, done]: [number[], number[], Report[]] = [[], [], []];
  for (const report of reports) {
    const { index, attempt } = report.item;
    const key = `${index}/${attempt}`;
    const own = current.get(key);
    if (own === undefined) continue;
    done.push(report);
    for (const event of report.events) events.push({ sequence: ++sequence, event: toStored(event) });
    if (report.type === "events") continue;
    current.delete(key);
    const attempts = endAttempt(own.attempts, Date.now(), report.failure);
    if (report.type === "again") {
      again.push({ index, attempts, afterMs: report.afterMs, counts: report.counts ? 1 : 0 });
      continue;
    }
    const { outcome } = report;
    const state = outcome.type === "result" ? "completed" : "failed";
    (state === "completed" ? completed : failed).push(index);
    if (outcome.type === "result") usage = addUsage(usage, outcome.result.usage);
    settled.push({ index, attempts, state, sequence: ++sequence, outcome: outcomeToStored(outcome) });
  }
  await writeEvents(session, jobId, events);
  await writeSettled(session, jobId, settled);
  await writeAgain(session, jobId, again);
  await session.query(
    `UPDATE mlxd.job SET last_sequence = $2, completed = completed + $3, failed = failed + $4,
     prompt_tokens = prompt_tokens + $5, cached_prompt_tokens = cached_prompt_tokens + $6,
     output_tokens = output_tokens + $7 WHERE id = $1`,
    [
      jobId,
      sequence,
      completed.length,
      failed.length,
      usage.promptTokens,
      usage.cachedPromptTokens,
      usage.outputTokens,
    ],
  );
  await leaveQueues(session, boss, done);
  const counts = {
    ...job.counts,
    completed: job.counts.completed + completed.length,
    failed: job.counts.failed + failed.length,
  };
  const end = endOf({ sealed: job.sealed, counts });
  if (end !== undefined) await changeJob(session, { ...job, lastSequence: sequence }, end);
  return done;
};

interface SettlingJob extends JobProgress {
  readonly id: string;
  readonly counts: Pick<JobCounts, "total" | "completed" | "failed">;
}

/** Of any tenant. All of it is of the job's own row, which is read when it is locked. */
const lockAny = async ({ query }: Session, jobId: string): Promise<SettlingJob | undefined> => {
  const [row] = isJobId(jobId)
    ? await query(`SELECT ${progressColumns}, completed, failed FROM mlxd.job WHERE id = $1 FOR UPDATE`, [jobId])
    : [];
  if (row === undefined) return undefined;
  const progress = progressFrom(row);
  const counts = { total: progress.total, completed: Number(row["completed"]), failed: Number(row["failed"]) };
  return { ...progress, id: jobId, counts };
};

const writeEvents = async ({ query }: Session, jobId: string, events: ReadonlyArray<object>): Promise<void> => {
  if (events.length === 0) return;
  await query(
    `INSERT INTO mlxd.event (job_id, sequence, event)
     SELECT $1, sequence, event FROM jsonb_to_recordset($2::jsonb) AS r(sequence int, event text)`,
    [jobId, JSON.stringify(events)],
  );
};

const writeSettled = async ({ query }: Session, jobId: string, settled: ReadonlyArray<object>): Promise<void> => {
  if (settled.length === 0) return;
  await query(
    `UPDATE mlxd.item i SET state = r.state, sequence = r.sequence, outcome = r.outcome, attempts = r.attempts,
     host = NULL, task = NULL
     FROM jsonb_to_recordset($2::jsonb) AS r(index int, state text, sequence int, outcome text, attempts jsonb)
     WHERE i.job_id = $1 AND i.index = r.index`,
    [jobId, JSON.stringify(settled)],
  );
};

const writeAgain = async ({ query }: Session, jobId: string, again: ReadonlyArray<object>): Promise<void> => {
  if (again.length === 0) return;
  await query(
    `UPDATE mlxd.item i SET state = 'pending', host = NULL, attempts = r.attempts, counted = counted + r.counts,
     retry_at = CASE WHEN r."afterMs" > 0 THEN now() + r."afterMs" * interval '1 ms' END
     FROM jsonb_to_recordset($2::jsonb) AS r(index int, attempts jsonb, "afterMs" float8, counts int)
     WHERE i.job_id = $1 AND i.index = r.index`,
    [jobId, JSON.stringify(again)],
  );
};

/** Removes items from pg-boss's queue, or puts them back into it. */
const leaveQueues = async ({ query }: Session, boss: PgBoss, done: ReadonlyArray<Report>): Promise<void> => {
  const byQueue = Map.groupBy(
    done.filter(({ type }) => type !== "events"),
    ({ item }) => item.queue,
  );
  for (const [queue, reports] of byQueue) {
    const idsOf = (type: Report["type"]): string[] =>
      reports.filter((report) => report.type === type).map(({ item }) => itemUuid(item.jobId, item.index));
    const [over, again] = [idsOf("outcome"), idsOf("again")];
    if (over.length > 0) {
      await boss.complete(queue, over);
      await query("UPDATE mlxd.lane SET waiting = waiting - $2 WHERE queue = $1", [queue, over.length]);
    }
    if (again.length > 0) await boss.fail(queue, again);
    for (const report of reports) {
      if (report.type !== "again" || report.afterMs <= 0) continue;
      const id = itemUuid(report.item.jobId, report.item.index);
      await boss.update(queue, undefined, { id, startAfter: `${report.afterMs / 1000} seconds` });
    }
  }
};

/** Whose items are returned to their queues. */
export type Lost =
  /** Those of all other hosts, because only one process can use this store. */
  | { readonly hosts: "all"; readonly apart: string }
  /** Those of hosts without a recent sign of life. */
  | { readonly hosts: "over" }
  /** Those of this host, except these: `job/index/attempt`. */
  | { readonly only: string; readonly running: ReadonlyArray<string> };

/**
 * Returns items to their queues: those of hosts that have ended, and those that a host has taken but does not run.
 * Their attempts do not count.
 *
 * @returns how many items there were
 */
export const handBack = (database: Database, boss: PgBoss, lost: Lost): Promise<number> =>
  database.transaction(async (session) => {
    const [isLost, values] = conditionOf(lost);
    const rows = await session.query(
      `SELECT i.job_id::text, i.index, i.attempt, i.attempts, i.host::text, l.queue, coalesce(h.name, 'unknown') AS name
       FROM mlxd.item i JOIN mlxd.lane l ON l.job_id = i.job_id AND l.model = i.model
       JOIN mlxd.job j ON j.id = i.job_id LEFT JOIN mlxd.host h ON h.id = i.host
       WHERE i.state = 'in-progress' AND j.state = 'in-progress' AND ${isLost} LIMIT 1000`,
      values,
    );
    const byHost = Map.groupBy(rows, (row) => String(row["host"]));
    let handedBack = 0;
    for (const [id, ofHost] of byHost) {
      const name = String(ofHost[0]?.["name"]);
      const reports = ofHost.map((row): Report => ({
        type: "again",
        item: {
          jobId: String(row["job_id"]),
          index: Number(row["index"]),
          queue: String(row["queue"]),
          attempt: Number(row["attempt"]),
        },
        events: [],
        failure: { type: "error", error: new HostLost({ host: name }) },
        afterMs: 0,
        counts: false,
      }));
      const byJob = Map.groupBy(reports, ({ item }) => item.jobId);
      for (const jobId of [...byJob.keys()].toSorted()) {
        handedBack += (await settleJob(session, boss, { id, name }, jobId, byJob.get(jobId) ?? [])).length;
      }
    }
    return handedBack;
  });

/** A condition on an item `i` and its host `h`, with its values. */
const conditionOf = (lost: Lost): readonly [string, ReadonlyArray<unknown>] => {
  if ("only" in lost) {
    const running = "i.job_id::text || '/' || i.index || '/' || i.attempt = ANY($2::text[])";
    return [`i.host = $1 AND NOT (${running})`, [lost.only, [...lost.running]]];
  }
  if (lost.hosts === "all") return ["i.host <> $1", [lost.apart]];
  return ["(h.id IS NULL OR h.alive_until < now())", []];
};
