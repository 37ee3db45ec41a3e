/** What of a task depends on who asks. */
import type { Call } from "../domain/Call.ts";
import { type Caller, withinTenant } from "../domain/Caller.ts";
import type { CachePolicy, SchedulingHints } from "../domain/generation.ts";

interface Task {
  readonly scheduling: SchedulingHints;
  readonly cache?: CachePolicy;
}

/** Names that the caller gives are its tenant's: others who name the same share neither turns nor cached prompts with it. */
export const ofTenant = <T extends Task>(caller: Caller, task: T): T => {
  const { scheduling, cache } = task;
  return {
    ...task,
    scheduling: { ...scheduling, fairnessId: withinTenant(caller, scheduling.fairnessId) },
    ...(cache !== undefined && { cache: { ...cache, partition: withinTenant(caller, cache.partition) } }),
  };
};

/** For the log. */
export const describeCall = ({ requestId, caller }: Call): Readonly<Record<string, string>> => ({
  ...(requestId !== "" && { requestId }),
  ...(caller.name !== "anonymous" && { caller: caller.name }),
  ...(caller.tenant !== "" && { tenant: caller.tenant }),
});
