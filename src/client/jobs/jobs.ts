import type { BatchItem } from "../batch.ts";
import type { CallOptions } from "../call.ts";
import type { DerivedStream } from "../derived-stream.ts";
import type { JobState } from "../enum-names.ts";
import type { MlxdError } from "../errors.ts";
import type { GenerationEvent } from "../events.ts";
import type { GenerationOptions } from "../generation-options.ts";
import type { GenerationParameters } from "../parameters.ts";
import type { GenerationResult } from "../results.ts";
import type { GenerationInput } from "../task.ts";
import type { Usage } from "../usage.ts";
import type { JobStream } from "./job-stream.ts";

/** How a job is run. */
export interface JobOptions {
  /**
   * Among the jobs of a tenant, those with a higher priority go first; -100 to 100. Interactive calls go before all jobs.
   * @default 0
   */
  readonly priority?: number | undefined;
  /** The caller's own labels, by which jobs can be listed; at most 16. */
  readonly labels?: { readonly [key: string]: string } | undefined;
  /**
   * How long after its creation the job expires, in milliseconds: 1 s to 30 days.
   * @default 24 hours
   */
  readonly expiresAfterMs?: number | undefined;
  /**
   * How many items run at once, on all hosts together; 1 to 256.
   * @default 64
   */
  readonly maxParallel?: number | undefined;
  /**
   * The most attempts per item, 1 to 10. An attempt that was lost with its host does not count.
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
   * Makes the call repeatable: with the same id and the same tasks it returns the same job, and continues one that was not
   * sent completely. Unique among the tenant's jobs; at most 128 bytes.
   * @default a random one
   */
  readonly requestId?: string | undefined;
  /** Values for what tasks do not set. */
  readonly defaults?: GenerationParameters | undefined;
  /** Called with the number of tasks that the service has, each time that it has more. */
  readonly onProgress?: ((items: number) => void) | undefined;
}

/** Options of {@link JobsClient.stream}: those of a generation, and of its job. */
export interface StreamTaskOptions extends GenerationOptions {
  /** How the job is run. */
  readonly job?: StreamedJobOptions | undefined;
}

/** How the job of a {@link JobStream} is run. */
export interface StreamedJobOptions extends Omit<JobOptions, "maxParallel"> {
  /**
   * Identifies the job, so that another stream can continue it: with the same id and the same task, `stream` reads the job's
   * events from the beginning. Such a job continues on the service when its stream is left; any other job is then cancelled.
   * Unique among the tenant's jobs; at most 128 bytes.
   * @default a random one
   */
  readonly requestId?: string | undefined;
}

/** The current state of a job. */
export interface Job {
  /** Its id. */
  readonly jobId: string;
  /** The request id that it was created with. */
  readonly requestId: string;
  /** Its state. */
  readonly state: JobState;
  /** Whether all of its items have been added. */
  readonly sealed: boolean;
  /** Items by state. */
  readonly counts: JobCounts;
  /** The cost in tokens of the items that have a result. */
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
  /** When it will be deleted; undefined until it has ended. */
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

/** The current state of an item. */
export interface JobItem {
  /** Its index in the job, from 0. */
  readonly index: number;
  /** The caller's id for it, or its index. */
  readonly itemId: string;
  /** Its state. */
  readonly state: JobState;
  /** Its last attempts, 32 at most, in order. */
  readonly attempts: readonly JobAttempt[];
  /** If it waits for another attempt: the earliest time for it. */
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

/** The outcome of an item: a result or an error. */
export type JobResult = {
  /** Resumes the stream after this result: {@link JobResultsOptions.after}. */
  readonly cursor: number;
  /** The item's index in the job, from 0. */
  readonly index: number;
  /** The caller's id for it, or its index. */
  readonly itemId: string;
  /** How many attempts it took. */
  readonly attempts: number;
} & (
  | { readonly result: GenerationResult; readonly error?: undefined }
  | { readonly error: MlxdError; readonly result?: undefined }
);

/** An event of a job. */
export type JobEvent = {
  /** 1, 2, 3, ... without gaps. */
  readonly sequence: number;
} & (
  | { readonly type: "job"; readonly state: JobState; readonly sealed: boolean }
  | { readonly type: "item"; readonly index: number; readonly itemId: string; readonly state: JobState }
  /** Only for a job with one item: an event of its generation. */
  | { readonly type: "generation"; readonly event: GenerationEvent }
  /** Only for such a job: its generation starts again, and earlier events of it are void. */
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
   * In the order of the items, or in the order in which they finish.
   * @default "index"
   */
  readonly order?: "index" | "finished" | undefined;
  /** The cursor of the last result that was read, in the same order. @default from the beginning */
  readonly after?: number | undefined;
  /** End after the results that exist now, instead of waiting for the rest. @default false */
  readonly availableOnly?: boolean | undefined;
}

/** Options of {@link JobsClient.watch}. */
export interface WatchJobOptions extends CallOptions {
  /** The sequence of the last event that was received. @default from the beginning */
  readonly after?: number | undefined;
}

/** Durable jobs: many generations that the service runs in the background, across restarts. */
export interface JobsClient {
  /**
   * Creates a job and returns when the service has all of its tasks, at most 100,000. They are sent while they are read, so
   * that an iterable may be larger than memory. A call with a `requestId` that failed can be repeated with the same tasks, and
   * continues where it failed; without one, the tasks that were already sent are deleted.
   */
  create(tasks: Iterable<BatchItem> | AsyncIterable<BatchItem>, options?: CreateJobOptions): Promise<Job>;
  /**
   * Generates text as a job of one task, and streams its events. Unlike `client.stream` it survives a cut connection and a
   * restart of the service: the stream then connects again and continues after the last event.
   */
  stream(input: GenerationInput, options?: StreamTaskOptions): JobStream;
  /** Returns a job and its progress. */
  get(jobId: string, options?: CallOptions): Promise<Job>;
  /** Lists jobs, newest first, page by page. */
  list(options?: ListJobsOptions): AsyncIterable<Job>;
  /** Lists a job's items in order, page by page. */
  items(jobId: string, options?: ListJobItemsOptions): AsyncIterable<JobItem>;
  /**
   * Streams the outcomes of a job's items until the job is over. If the connection or the service goes away, it connects again
   * and continues where it was.
   */
  results(jobId: string, options?: JobResultsOptions): DerivedStream<JobResult, void>;
  /** Streams the events of a job until it is over; connects again as `results` does. */
  watch(jobId: string, options?: WatchJobOptions): DerivedStream<JobEvent, void>;
  /** Cancels a job: waiting items never start, and running items stop. A job that is over does not change. */
  cancel(jobId: string, options?: CallOptions): Promise<Job>;
  /** Deletes a job with everything that belongs to it. */
  delete(jobId: string, options?: CallOptions): Promise<void>;
}
