/** Removes jobs that are over, with all that belongs to them. */
import type { Database } from "./Database.ts";

export const removeJobs = (database: Database, jobIds: ReadonlyArray<string>): Promise<void> =>
  database.transaction(async ({ query }) => {
    // First the job, which whoever adds to it locks.
    await query("DELETE FROM mlxd.job WHERE id = ANY($1::uuid[])", [[...jobIds]]);
    for (const table of ["item", "event"]) {
      await query(`DELETE FROM mlxd.${table} WHERE job_id = ANY($1::uuid[])`, [[...jobIds]]);
    }
  });
