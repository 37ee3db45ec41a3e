/** Ends jobs before their items are done. */
import type { PgBoss } from "pg-boss";

import type { Job } from "../../domain/job.ts";
import { changeJob, lockJob, readJob } from "./change-job.ts";
import type { Database } from "./Database.ts";
import { deleteQueue } from "./delete-queue.ts";

/** A job that is over does not change. Throws JobNotFound. */
export const cancelJob = (database: Database, tenant: string, jobId: string): Promise<Job> =>
  database.transaction(async (session) => {
    await changeJob(session, await lockJob(session, jobId, tenant), "cancel");
    return readJob(session, jobId, tenant);
  });

/** Throws JobNotFound. */
export const deleteJob = async (database: Database, boss: PgBoss, tenant: string, jobId: string): Promise<void> => {
  await cancelJob(database, tenant, jobId);
  for (const row of await database.query("SELECT queue FROM mlxd.lane WHERE job_id = $1", [jobId])) {
    await deleteQueue(boss, String(row["queue"]));
  }
  await database.query("DELETE FROM mlxd.job WHERE id = $1", [jobId]);
};
