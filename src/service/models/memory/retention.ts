/** How long a model stays in memory, and how it leaves. */

/** What keeps a model in memory. */
export interface Retention {
  /** Neither evicted nor unloaded for being idle. */
  readonly pinned: boolean;
  /** Without a task for this long it is unloaded; 0: never. */
  readonly idleTtlMs: number;
  /** Models of a lower one are evicted first. */
  readonly priority: number;
}

/**
 * Why a loaded model leaves: another needs its room, more is taken than the limits allow (they were lowered, or a process takes
 * more than was foreseen), it had no task for too long, a call says so, it is no longer in the catalog, or its engine was given
 * up.
 */
export type UnloadReason = "eviction" | "limits" | "idle" | "unload" | "removal" | "failure";

export interface UnloadOptions {
  /** How long those who use it may take to finish; then they end with ModelUnloaded. */
  readonly drainMs: number;
  /** They end at once, and a load ends too. */
  readonly force: boolean;
}

export interface Unloaded {
  /** Whether there was something to unload. */
  readonly unloaded: boolean;
  /** What its process had, measured before its end. */
  readonly freedBytes: number;
}
