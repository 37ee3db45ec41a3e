/** The events of a generation that the watchers of a job with one item have received. */
import type { Database } from "./Database.ts";
import type { GenerationRecord } from "./settle-items.ts";
import { fromStored } from "./stored-json.ts";

type ToldEvent = Extract<GenerationRecord, { type: "generation" }>;

/** Since its last restart; with the number of the next event. */
export const toldGeneration = async (
  { query }: Database,
  jobId: string,
): Promise<{ readonly recorded: ReadonlyArray<ToldEvent>; readonly next: number }> => {
  const rows = await query("SELECT event FROM mlxd.event WHERE job_id = $1 ORDER BY sequence", [jobId]);
  const records = rows.map((row) => fromStored<GenerationRecord | { readonly type: "job" }>(String(row["event"])));
  const since = records.slice(records.findLastIndex(({ type }) => type === "restarted") + 1);
  const recorded = since.filter((record): record is ToldEvent => record.type === "generation");
  return { recorded, next: (recorded.at(-1)?.number ?? -1) + 1 };
};
