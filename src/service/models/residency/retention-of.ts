/** How long a model stays in memory, from the configuration and from later calls. */
import type { ModelPolicy } from "../catalog/declared-model.ts";
import type { Retention } from "../memory/retention.ts";

/** @param idleTtlMs the service's idle time, for models without one of their own */
export const retentionOf = ({ pinned, ttlMs, priority }: ModelPolicy, idleTtlMs: number): Retention => ({
  pinned,
  idleTtlMs: ttlMs ?? idleTtlMs,
  priority,
});

/** What the file changed. Values set by a call stay if the file still says what it said before. */
export const changedRetention = (before: Retention, now: Retention): Partial<Retention> => ({
  ...(before.pinned !== now.pinned && { pinned: now.pinned }),
  ...(before.idleTtlMs !== now.idleTtlMs && { idleTtlMs: now.idleTtlMs }),
  priority: now.priority,
});
