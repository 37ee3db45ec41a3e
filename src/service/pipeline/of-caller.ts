/** Scopes a task to its caller's tenant, and describes the caller for the log. */
import type { Call } from "../domain/Call.ts";
import { type Caller, withinTenant } from "../domain/Caller.ts";
import type { CachePolicy, SchedulingHints } from "../domain/generation-task.ts";

interface Task {
  readonly scheduling: SchedulingHints;
  readonly cache?: CachePolicy;
}

/** Scopes fairness id and cache partition to the tenant, so that equal names of two tenants share no turns and no cached prompts. */
export const ofTenant = <T extends Task>(caller: Caller, task: T): T => {
  const { scheduling, cache } = task;
  return {
    ...task,
    scheduling: { ...scheduling, fairnessId: withinTenant(caller, scheduling.fairnessId) },
    ...(cache !== undefined && { cache: { ...cache, partition: withinTenant(caller, cache.partition) } }),
  };
};

/** Log fields of a call. */
export const describeCall = ({ requestId, caller }: Call): Readonly<Record<string, string>> => ({
  ...(requestId !== "" && { requestId }),
  ...(caller.name !== "anonymous" && { caller: caller.name }),
  ...(caller.tenant !== "" && { tenant: caller.tenant }),
});
