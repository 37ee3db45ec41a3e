/** How long a model stays in memory, by what the configuration says and what calls have changed since. */
import type { ModelPolicy } from "../catalog/declared-model.ts";
import type { Retention } from "../memory/retention.ts";

/** @param idleTtlMs the service's own time, for models that have none */
export const retentionOf = ({ pinned, ttlMs, priority }: ModelPolicy, idleTtlMs: number): Retention => ({
  pinned,
  idleTtlMs: ttlMs ?? idleTtlMs,
  priority,
});

/** What a call said stays, unless the file says something else than it did. */
export const changedRetention = (before: Retention, now: Retention): Partial<Retention> => ({
  ...(before.pinned !== now.pinned && { pinned: now.pinned }),
  ...(before.idleTtlMs !== now.idleTtlMs && { idleTtlMs: now.idleTtlMs }),
  priority: now.priority,
});
