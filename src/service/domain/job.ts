/** Jobs and their items: what they are, and which state may follow which. */
import type { ServiceError } from "./errors.ts";
import type { GenerationEvent, GenerationResult, OutputOptions } from "./generation.ts";
import type { Usage } from "./usage.ts";

export const jobStates = ["pending", "in-progress", "completed", "failed", "cancelled", "expired"] as const;
/** Of a job and of an item. */
export type JobState = (typeof jobStates)[number];

/** What may happen to a job. */
export type JobEvent =
  /** An item was given to an engine. */
  | "start"
  /** It is sealed and all of its items have outcomes, one result at least among them. */
  | "complete"
  /** The same, and all of them are errors: perhaps none was fit to start. */
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

/** The state that follows; undefined where the event means nothing to a job in this state, which then stays as it is. */
export const nextJobState = (state: JobState, event: JobEvent): JobState | undefined => transitions[state][event];

/** Whether nothing follows it. */
export const isOver = (state: JobState): boolean => transitions[state] === nothing;

/** How a job ends whose last item has got its outcome; undefined while there may be more of them. */
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

/** Items by state. */
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
  /** Jobs of a higher one go first among those of a tenant. */
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  /** From its creation to its expiry. */
  readonly expiresAfterMs: number;
  /** Items that run at once, over all hosts. */
  readonly maxParallel: number;
  /** Those that end with their host are not counted. */
  readonly maxAttempts: number;
  /** From its end until it is deleted. */
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

/** Of one job. */
export const jobLimits = { items: 100_000, bytes: 1024 ** 3, models: 100 } as const;

/** As it stands. Times are epoch milliseconds. */
export interface Job {
  readonly id: string;
  readonly requestId: string;
  readonly state: JobState;
  /** Whether it has all its items. */
  readonly sealed: boolean;
  readonly counts: JobCounts;
  /** Of the items that have a result. */
  readonly usage: Usage;
  readonly itemBytes: number;
  readonly options: JobOptions;
  /** Of its last event. */
  readonly lastSequence: number;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  readonly expiresAt: number;
  /** Undefined until it has ended. */
  readonly deletedAt: number | undefined;
}

export interface JobAttempt {
  /** From 1. */
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

/** Why an attempt has no result: an error, or a bug, of which the log has the rest. */
export type ItemFailure =
  | { readonly type: "error"; readonly error: ServiceError }
  | { readonly type: "defect"; readonly requestId: string };

/** What became of an item. */
export type ItemOutcome =
  | {
      readonly type: "result";
      readonly result: GenerationResult;
      /** What it is told with. */
      readonly reported: Pick<OutputOptions, "tokenIds" | "timings">;
    }
  | ItemFailure
  /** Its job ended first. */
  | { readonly type: "cancelled" }
  | { readonly type: "expired" };

export interface ItemResult {
  /** Resumes a reading after it: of one in the order of the items 1 more than the index, of the other its sequence. */
  readonly cursor: number;
  readonly index: number;
  readonly itemId: string;
  readonly attempts: number;
  readonly outcome: ItemOutcome;
}

/** What a watcher of a job is told, in the order of `sequence`: 1, 2, 3, ... without gaps. */
export type WatchEvent = { readonly sequence: number } & (
  | { readonly type: "job"; readonly state: JobState; readonly sealed: boolean }
  | { readonly type: "item"; readonly index: number; readonly itemId: string; readonly state: "completed" | "failed" }
  | {
      readonly type: "generation";
      /** From 0, as of StreamGenerate. */
      readonly number: number;
      readonly event: GenerationEvent;
      readonly reported: Pick<OutputOptions, "tokenIds" | "timings">;
    }
  | { readonly type: "restarted"; readonly attempt: number }
);
