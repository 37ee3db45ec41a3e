/** How long a model stays in memory, and how it leaves. */

/** The settings that keep a model in memory. */
export interface Retention {
  /** Neither evicted nor unloaded for being idle. */
  readonly pinned: boolean;
  /** Unloaded after this time without a task; 0: never. */
  readonly idleTtlMs: number;
  /** Models with a lower priority are evicted first. */
  readonly priority: number;
}

/**
 * Why a loaded model leaves: another needs its room, more is taken than the limits allow (they were lowered, or a process takes
 * more than was foreseen), it had no task for too long, a call says so, it is no longer in the catalog, or its engine was given
 * up.
 */
export type UnloadReason = "eviction" | "limits" | "idle" | "unload" | "removal" | "failure";

export interface UnloadOptions {
  /** How long running tasks may take to finish before they fail with ModelUnloaded. */
  readonly drainMs: number;
  /** Running tasks fail at once, and a load is cancelled. */
  readonly force: boolean;
}

export interface Unloaded {
  /** Whether there was something to unload. */
  readonly unloaded: boolean;
  /** The memory of its process, measured before it ended. */
  readonly freedBytes: number;
}
