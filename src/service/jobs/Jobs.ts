/** Durable jobs: many generations that run in the background. Each call acts for the tenant of its caller. */
import { Context, type Effect, type Stream } from "effect";

import type {
  InvalidField,
  JobConflict,
  JobGap,
  JobNotFound,
  JobOver,
  JobSealed,
  JobTooLarge,
  SequenceOutOfRange,
  ServiceError,
  StoreFailure,
} from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import type { ItemResult, Job, JobItem, JobOptions, JobState, WatchEvent } from "../domain/job.ts";
import type { StoreCondition } from "./Connection.ts";

/** Why a job is not created, not added to, and not sealed. */
export type CreateFailure = JobConflict | JobTooLarge | InvalidField;
export type AppendFailure = JobNotFound | JobGap | JobSealed | JobOver | JobConflict | JobTooLarge | InvalidField;
export type SealFailure = JobNotFound | JobGap | JobOver;
/** Why a stream of a job is not read. */
export type ReadFailure = JobNotFound | SequenceOutOfRange;

/** An item as requested. */
export interface AskedItem {
  /** The caller's id; empty if it gave none. */
  readonly itemId: string;
  /** The task, or why it is invalid, which fails this item only. */
  readonly task: GenerationTask | ServiceError;
}

export interface AskedJob {
  readonly requestId: string;
  readonly items: ReadonlyArray<AskedItem>;
  readonly sealed: boolean;
  readonly options: JobOptions;
  /**
   * The defaults for items that are appended later, in a format chosen by the caller of this service; `defaults`
   * returns it.
   */
  readonly defaults: string;
}

export interface Listing {
  readonly size: number;
  /** The value from the previous page; undefined for the first. */
  readonly from: number | undefined;
  /** Empty: all states. */
  readonly states: ReadonlyArray<JobState>;
}

export interface ListPage<A> {
  readonly rows: ReadonlyArray<A>;
  readonly next: number | undefined;
}

export interface Reading {
  readonly jobId: string;
  readonly order: "index" | "finished";
  /** The cursor of the last outcome that was read; 0 from the beginning. */
  readonly after: number;
  /** Whether to end after the outcomes that exist now. */
  readonly availableOnly: boolean;
}

export class Jobs extends Context.Service<
  Jobs,
  {
    /** The same request id with the same content returns the same job. */
    readonly create: (
      job: AskedJob,
    ) => Effect.Effect<{ readonly job: Job; readonly created: boolean }, CreateFailure | StoreFailure>;
    /** The defaults that the job was created with. */
    readonly defaults: (jobId: string) => Effect.Effect<string, JobNotFound | StoreFailure>;
    /** @returns how many items the job has now */
    readonly append: (piece: {
      readonly jobId: string;
      readonly offset: number;
      readonly items: ReadonlyArray<AskedItem>;
      readonly seal: boolean;
    }) => Effect.Effect<number, AppendFailure | StoreFailure>;
    /** @param total the expected number of items; undefined: as many as it has */
    readonly seal: (jobId: string, total: number | undefined) => Effect.Effect<Job, SealFailure | StoreFailure>;
    readonly get: (jobId: string) => Effect.Effect<Job, JobNotFound | StoreFailure>;
    readonly list: (
      listing: Listing & { readonly labels: Readonly<Record<string, string>> },
    ) => Effect.Effect<ListPage<Job>, StoreFailure>;
    readonly items: (
      listing: Listing & { readonly jobId: string },
    ) => Effect.Effect<ListPage<JobItem>, JobNotFound | StoreFailure>;
    /** Ends with the job, or after the existing outcomes if only these are requested. */
    readonly results: (reading: Reading) => Stream.Stream<ItemResult, ReadFailure | StoreFailure>;
    readonly cancel: (jobId: string) => Effect.Effect<Job, JobNotFound | StoreFailure>;
    readonly delete: (jobId: string) => Effect.Effect<void, JobNotFound | StoreFailure>;
    /** The events after a sequence number, then new ones as they occur. Ends with the job. */
    readonly watch: (jobId: string, after: number) => Stream.Stream<WatchEvent, ReadFailure | StoreFailure>;
    /** The state of the store; undefined until it was needed. */
    readonly storeCondition: () => StoreCondition | undefined;
    /** How many items run on this host. */
    readonly running: () => number;
  }
>()("mlxd/jobs/Jobs") {}
