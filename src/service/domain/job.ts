/** Jobs and their items, and the transitions between their states. */
import type { ServiceError } from "./errors.ts";
import type { GenerationEvent, GenerationResult } from "./generation-result.ts";
import type { OutputOptions } from "./generation-task.ts";
import type { Usage } from "./usage.ts";

export const jobStates = ["pending", "in-progress", "completed", "failed", "cancelled", "expired"] as const;
/** The state of a job or of an item. */
export type JobState = (typeof jobStates)[number];

/** Events that may change the state of a job. */
export type JobEvent =
  /** An item was given to an engine. */
  | "start"
  /** It is sealed and all of its items have outcomes, at least one of them a result. */
  | "complete"
  /** It is sealed and all of its items have outcomes, none of them a result; possibly none could be started. */
  | "fail"
  | "cancel"
  | "expire";

const nothing: Partial<Record<JobEvent, JobState>> = {};

const transitions: Readonly<Record<JobState, Partial<Readonly<Record<JobEvent, JobState>>>>> = {
  pending: { start: "in-progress", fail: "failed", cancel: "cancelled", expire: "expired" },
  "in-progress": {
    start: "in-progress",
    complete: "completed",
    fail: "failed",
    cancel: "cancelled",
    expire: "expired",
  },
  completed: nothing,
  failed: nothing,
  cancelled: nothing,
  expired: nothing,
};

/** The next state; undefined if the event does not apply in this state, which then stays the same. */
export const nextJobState = (state: JobState, event: JobEvent): JobState | undefined => transitions[state][event];

/** Whether it is a final state. */
export const isOver = (state: JobState): boolean => transitions[state] === nothing;

/** How a job ends when its last item gets its outcome; undefined while items are missing. */
export const endOf = ({
  sealed,
  counts,
}: {
  readonly sealed: boolean;
  readonly counts: Pick<JobCounts, "total" | "completed" | "failed">;
}): "complete" | "fail" | undefined => {
  if (!sealed || counts.completed + counts.failed < counts.total) return undefined;
  return counts.completed > 0 ? "complete" : "fail";
};

/** The number of items by state. */
export interface JobCounts {
  readonly total: number;
  readonly pending: number;
  readonly inProgress: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly expired: number;
}

export interface JobOptions {
  /** Among a tenant's jobs, those with a higher priority go first. */
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Counted from its creation. */
  readonly expiresAfterMs: number;
  /** How many items run at once, on all hosts together. */
  readonly maxParallel: number;
  /** Attempts that ended because their host ended are not counted. */
  readonly maxAttempts: number;
  /** How long it is kept after its end. */
  readonly retentionMs: number;
}

export const defaultJobOptions: JobOptions = {
  priority: 0,
  labels: {},
  expiresAfterMs: 24 * 3_600_000,
  maxParallel: 64,
  maxAttempts: 3,
  retentionMs: 7 * 24 * 3_600_000,
};

/** The limits of one job. */
export const jobLimits = { items: 100_000, bytes: 1024 ** 3, models: 100 } as const;

/** The current state of a job. Times are epoch milliseconds. */
export interface Job {
  readonly id: string;
  readonly requestId: string;
  readonly state: JobState;
  /** Whether all of its items have been added. */
  readonly sealed: boolean;
  readonly counts: JobCounts;
  /** The usage of the items that have a result. */
  readonly usage: Usage;
  readonly itemBytes: number;
  readonly options: JobOptions;
  /** The sequence of its last event. */
  readonly lastSequence: number;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly expiresAt: number;
  /** When it will be deleted; undefined until it has ended. */
  readonly deletedAt: number | undefined;
}

export interface JobAttempt {
  /** Counted from 1. */
  readonly number: number;
  readonly startedAt: number;
  readonly finishedAt: number | undefined;
  /** Why it ended without a result. */
  readonly failure: ItemFailure | undefined;
  readonly host: string;
}

export interface JobItem {
  readonly index: number;
  readonly itemId: string;
  readonly state: JobState;
  readonly attempts: ReadonlyArray<JobAttempt>;
  readonly retryAt: number | undefined;
}

/** Why an attempt has no result: an error, or a bug, whose details are in the log. */
export type ItemFailure =
  | { readonly type: "error"; readonly error: ServiceError }
  | { readonly type: "defect"; readonly requestId: string };

/** The outcome of an item. */
export type ItemOutcome =
  | {
      readonly type: "result";
      readonly result: GenerationResult;
      /** The output options that determine how it is reported. */
      readonly reported: Pick<OutputOptions, "tokenIds" | "timings">;
    }
  | ItemFailure
  /** Its job ended first. */
  | { readonly type: "cancelled" }
  | { readonly type: "expired" };

export interface ItemResult {
  /**
   * Resume a reading after this item with this value: the index plus 1 when reading in item order, the sequence
   * otherwise.
   */
  readonly cursor: number;
  readonly index: number;
  readonly itemId: string;
  readonly attempts: number;
  readonly outcome: ItemOutcome;
}

/** What a watcher of a job receives, in the order of `sequence`: 1, 2, 3, ... without gaps. */
export type WatchEvent = { readonly sequence: number } & (
  | { readonly type: "job"; readonly state: JobState; readonly sealed: boolean }
  | { readonly type: "item"; readonly index: number; readonly itemId: string; readonly state: "completed" | "failed" }
  | {
      readonly type: "generation";
      /** Counted from 0, as in StreamGenerate. */
      readonly number: number;
      readonly event: GenerationEvent;
      readonly reported: Pick<OutputOptions, "tokenIds" | "timings">;
    }
  | { readonly type: "restarted"; readonly attempt: number }
);
