import type { BatchItem } from "../batch.ts";
import type { CallOptions } from "../call.ts";
import type { DerivedStream } from "../derived-stream.ts";
import type { JobState } from "../enum-names.ts";
import type { MlxdError } from "../errors.ts";
import type { GenerationEvent } from "../events.ts";
import type { GenerationParameters } from "../parameters.ts";
import type { GenerationResult } from "../results.ts";
import type { Usage } from "../usage.ts";

/** How a job is run. */
export interface JobOptions {
  /**
   * Jobs of a higher priority go first among those of a tenant, -100 to 100. Interactive calls go before all jobs.
   * @default 0
   */
  readonly priority?: number | undefined;
  /** The caller's own labels, to list jobs by: at most 16. */
  readonly labels?: { readonly [key: string]: string } | undefined;
  /**
   * How long after its creation the job expires, in milliseconds: 1 s to 30 days.
   * @default 24 hours
   */
  readonly expiresAfterMs?: number | undefined;
  /**
   * Items that run at once, over all hosts: 1 to 256.
   * @default 64
   */
  readonly maxParallel?: number | undefined;
  /**
   * Attempts of an item, 1 to 10; one that is lost with its host is not counted.
   * @default 3
   */
  readonly maxAttempts?: number | undefined;
  /**
   * How long the job is kept after its end, in milliseconds: 1 hour to 30 days.
   * @default 7 days
   */
  readonly retentionMs?: number | undefined;
}

/** Options of {@link JobsClient.create}. */
export interface CreateJobOptions extends JobOptions, CallOptions {
  /**
   * Makes the call repeatable: the same id with the same items gives the same job, and goes on where a call was cut. Distinct
   * among the tenant's jobs, 128 bytes at most.
   * @default a random one
   */
  readonly requestId?: string | undefined;
  /** What items do not say themselves. */
  readonly defaults?: GenerationParameters | undefined;
  /** Told how many items the service has, each time that there are more. */
  readonly onProgress?: ((items: number) => void) | undefined;
}

/** A job, as it stands. */
export interface Job {
  /** Its id. */
  readonly jobId: string;
  /** The request id that it was created with. */
  readonly requestId: string;
  /** Where it stands. */
  readonly state: JobState;
  /** Whether it has all its items. */
  readonly sealed: boolean;
  /** Items by state. */
  readonly counts: JobCounts;
  /** Tokens spent by the items that have a result. */
  readonly usage: Usage;
  /** Bytes of its items as they are stored. */
  readonly itemBytes: number;
  /** How it is run. */
  readonly options: JobOptions;
  /** Sequence of its last event. */
  readonly lastSequence: number;
  /** When it was created. */
  readonly createdAt: Date | undefined;
  /** When its first item started. */
  readonly startedAt: Date | undefined;
  /** When it ended. */
  readonly finishedAt: Date | undefined;
  /** When it expires. */
  readonly expiresAt: Date | undefined;
  /** When it is deleted; once it has ended. */
  readonly deletedAt: Date | undefined;
}

/** Items of a job by state. */
export interface JobCounts {
  readonly total: number;
  readonly pending: number;
  readonly inProgress: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly expired: number;
}

/** An item of a job, as it stands. */
export interface JobItem {
  /** Its place in the job, from 0. */
  readonly index: number;
  /** The caller's id for it, or its index. */
  readonly itemId: string;
  /** Where it stands. */
  readonly state: JobState;
  /** Its attempts, the first of them first. */
  readonly attempts: readonly JobAttempt[];
  /** When it waits for another attempt: not before then. */
  readonly retryAt: Date | undefined;
}

/** One attempt at an item. */
export interface JobAttempt {
  /** From 1. */
  readonly number: number;
  /** When it began. */
  readonly startedAt: Date | undefined;
  /** When it ended; undefined while it runs. */
  readonly finishedAt: Date | undefined;
  /** Why it has no result. */
  readonly error: MlxdError | undefined;
  /** The host that ran it. */
  readonly host: string;
}

/** What became of an item: a result or an error. */
export type JobResult = {
  /** Resumes the results after this one: {@link JobResultsOptions.after}. */
  readonly cursor: number;
  /** The item's place in the job, from 0. */
  readonly index: number;
  /** The caller's id for it, or its index. */
  readonly itemId: string;
  /** How many attempts it took. */
  readonly attempts: number;
} & (
  | { readonly result: GenerationResult; readonly error?: undefined }
  | { readonly error: MlxdError; readonly result?: undefined }
);

/** Something happened to a job. */
export type JobEvent = {
  /** 1, 2, 3, ... without gaps. */
  readonly sequence: number;
} & (
  | { readonly type: "job"; readonly state: JobState; readonly sealed: boolean }
  | { readonly type: "item"; readonly index: number; readonly itemId: string; readonly state: JobState }
  /** Of a job of one item: what its generation says. */
  | { readonly type: "generation"; readonly event: GenerationEvent }
  /** Of such a job: its generation begins anew, and what was said before is void. */
  | { readonly type: "restarted"; readonly attempt: number }
);

/** Options of {@link JobsClient.list}. */
export interface ListJobsOptions extends CallOptions {
  /** Only jobs in one of these states. @default all */
  readonly states?: readonly Exclude<JobState, "unknown">[] | undefined;
  /** Only jobs with all of these labels. */
  readonly labels?: { readonly [key: string]: string } | undefined;
}

/** Options of {@link JobsClient.items}. */
export interface ListJobItemsOptions extends CallOptions {
  /** Only items in one of these states. @default all */
  readonly states?: readonly Exclude<JobState, "unknown">[] | undefined;
}

/** Options of {@link JobsClient.results}. */
export interface JobResultsOptions extends CallOptions {
  /**
   * In the order of the items, or as they finish.
   * @default "index"
   */
  readonly order?: "index" | "finished" | undefined;
  /** The cursor of the last result that was read, of the same order. @default from the beginning */
  readonly after?: number | undefined;
  /** End with what there is now, instead of waiting for the rest. @default false */
  readonly availableOnly?: boolean | undefined;
}

/** Options of {@link JobsClient.watch}. */
export interface WatchJobOptions extends CallOptions {
  /** The sequence of the last event that was seen. @default from the beginning */
  readonly after?: number | undefined;
}

/** Durable jobs: many generations that the service works off in the background, across restarts. */
export interface JobsClient {
  /**
   * Creates a job of these tasks and returns when the service has all of them. They are read piece by piece: any number up to
   * 100,000 in any iterable. With a `requestId` a call that failed may be made again with the same tasks.
   */
  create(tasks: Iterable<BatchItem> | AsyncIterable<BatchItem>, options?: CreateJobOptions): Promise<Job>;
  /** How far a job is. */
  get(jobId: string, options?: CallOptions): Promise<Job>;
  /** The jobs, the newest first, read page by page. */
  list(options?: ListJobsOptions): AsyncIterable<Job>;
  /** A job's items in their order, read page by page. */
  items(jobId: string, options?: ListJobItemsOptions): AsyncIterable<JobItem>;
  /**
   * What became of a job's items, until the job is over. Where the connection or the service goes away it connects again and
   * goes on where it was.
   */
  results(jobId: string, options?: JobResultsOptions): DerivedStream<JobResult, void>;
  /** What happens to a job, until it is over; connects again as `results` does. */
  watch(jobId: string, options?: WatchJobOptions): DerivedStream<JobEvent, void>;
  /** Cancels a job: what waits never starts, and what runs stops. One that is over stays as it is. */
  cancel(jobId: string, options?: CallOptions): Promise<Job>;
  /** Deletes a job with all that is kept of it. */
  delete(jobId: string, options?: CallOptions): Promise<void>;
}
