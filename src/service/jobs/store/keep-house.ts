/** Housekeeping of the store: expiry, the end of a job's retention, unused queues, hosts. */
import type { PgBoss } from "pg-boss";

import { longestBackoffMs } from "../retry-policy.ts";
import { changeJob, progressColumns, progressFrom } from "./change-job.ts";
import type { Database } from "./Database.ts";
import { deleteQueue } from "./delete-queue.ts";
import type { Host } from "./take-items.ts";

/** How long a host counts as alive after its last sign of life. */
const hostLifeMs = 12_000;

export const sayAlive = ({ query }: Database, { id, name }: Host): Promise<unknown> =>
  query(
    `INSERT INTO mlxd.host (id, name, alive_until) VALUES ($1, $2, now() + $3 * interval '1 ms')
     ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until`,
    [id, name, hostLifeMs],
  );

export const sayGone = ({ query }: Database, { id }: Host): Promise<unknown> =>
  query("DELETE FROM mlxd.host WHERE id = $1", [id]);

/**
 * If a clock was set back, items that were ready would wait until that time comes again. Therefore no item waits longer
 * than the longest backoff.
 */
export const endLongWaits = async ({ query }: Database): Promise<void> => {
  await query(
    `UPDATE pgboss.job SET start_after = now() WHERE state IN ('created', 'retry')
     AND start_after > now() + $1 * interval '1 ms'`,
    [longestBackoffMs],
  );
};

/** Per run, so that none takes long. */
const atOnce = 20;

/** Ends jobs that have expired, and deletes those whose retention is over. @returns the jobs that it ended */
export const keepHouse = async (database: Database, boss: PgBoss): Promise<ReadonlyArray<string>> => {
  const expired = await endExpired(database);
  await removeQueues(database, boss);
  await database.query(
    `DELETE FROM mlxd.job WHERE id IN (SELECT id FROM mlxd.job j WHERE delete_at <= now()
     AND NOT EXISTS (SELECT 1 FROM mlxd.lane l WHERE l.job_id = j.id) LIMIT $1)`,
    [atOnce],
  );
  // A host's name is no longer needed long after its last sign of life.
  await database.query("DELETE FROM mlxd.host WHERE alive_until < now() - interval '1 hour'");
  return expired;
};

/** A job that a call or another host has at the moment is left to the next run. */
const endExpired = (database: Database): Promise<ReadonlyArray<string>> =>
  database.transaction(async (session) => {
    const rows = await session.query(
      `SELECT id::text, ${progressColumns} FROM mlxd.job WHERE state IN ('pending', 'in-progress') AND expires_at <= now()
       LIMIT $1 FOR UPDATE SKIP LOCKED`,
      [atOnce],
    );
    const jobs = rows.map((row) => ({ ...progressFrom(row), id: String(row["id"]) }));
    for (const job of jobs) await changeJob(session, job, "expire");
    return jobs.map(({ id }) => id);
  });

/** Jobs that are over no longer need their queues. */
const removeQueues = async ({ query }: Database, boss: PgBoss): Promise<void> => {
  const rows = await query(
    `SELECT l.queue FROM mlxd.lane l JOIN mlxd.job j ON j.id = l.job_id
     WHERE j.state NOT IN ('pending', 'in-progress') LIMIT $1`,
    [atOnce],
  );
  for (const row of rows) {
    const queue = String(row["queue"]);
    await deleteQueue(boss, queue);
    await query("DELETE FROM mlxd.lane WHERE queue = $1", [queue]);
  }
  // Queues of a job that was never created; a new one has an hour to be created.
  const unused = await query(
    `SELECT q.name FROM pgboss.queue q WHERE q.created_on < now() - interval '1 hour'
     AND NOT EXISTS (SELECT 1 FROM mlxd.lane l WHERE l.queue = q.name) AND q.name ~ '^[0-9a-f-]{36}[.]' LIMIT $1`,
    [atOnce],
  );
  for (const row of unused) await deleteQueue(boss, String(row["name"]));
};
