/** Durable jobs: many generations that are worked off in the background. Each call is for the tenant of its caller. */
import { Context, type Effect, type Stream } from "effect";

import type {
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
import type { GenerationTask } from "../domain/generation.ts";
import type { ItemResult, Job, JobItem, JobOptions, JobState, WatchEvent } from "../domain/job.ts";
import type { StoreCondition } from "./StoreAccess.ts";

/** An item as it is asked for. */
export interface AskedItem {
  /** The caller's id; empty where it gave none. */
  readonly itemId: string;
  /** What is wrong with a task is its item's failure. */
  readonly task: GenerationTask | ServiceError;
}

export interface AskedJob {
  readonly requestId: string;
  readonly items: ReadonlyArray<AskedItem>;
  readonly sealed: boolean;
  readonly options: JobOptions;
  /** What items that are appended take what they do not say from, in a form of the caller's; `defaults` gives it back. */
  readonly defaults: string;
}

export interface Listing {
  readonly size: number;
  /** As the page before told; undefined for the first. */
  readonly from: number | undefined;
  /** None: all. */
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
  /** Whether to end with what there is now. */
  readonly availableOnly: boolean;
}

export class Jobs extends Context.Service<
  Jobs,
  {
    /** The same request id with the same content gives the same job. */
    readonly create: (
      job: AskedJob,
    ) => Effect.Effect<{ readonly job: Job; readonly created: boolean }, JobConflict | JobTooLarge | StoreFailure>;
    /** Those that the job was created with. */
    readonly defaults: (jobId: string) => Effect.Effect<string, JobNotFound | StoreFailure>;
    /** @returns how many items the job has now */
    readonly append: (piece: {
      readonly jobId: string;
      readonly offset: number;
      readonly items: ReadonlyArray<AskedItem>;
      readonly seal: boolean;
    }) => Effect.Effect<number, JobNotFound | JobGap | JobSealed | JobOver | JobConflict | JobTooLarge | StoreFailure>;
    /** @param total how many items it shall have; undefined: as many as it has */
    readonly seal: (
      jobId: string,
      total: number | undefined,
    ) => Effect.Effect<Job, JobNotFound | JobGap | JobOver | StoreFailure>;
    readonly get: (jobId: string) => Effect.Effect<Job, JobNotFound | StoreFailure>;
    readonly list: (
      listing: Listing & { readonly labels: Readonly<Record<string, string>> },
    ) => Effect.Effect<ListPage<Job>, StoreFailure>;
    readonly items: (
      listing: Listing & { readonly jobId: string },
    ) => Effect.Effect<ListPage<JobItem>, JobNotFound | StoreFailure>;
    /** Ends with the job, or before where only what is there is asked for. */
    readonly results: (reading: Reading) => Stream.Stream<ItemResult, JobNotFound | SequenceOutOfRange | StoreFailure>;
    readonly cancel: (jobId: string) => Effect.Effect<Job, JobNotFound | StoreFailure>;
    readonly delete: (jobId: string) => Effect.Effect<void, JobNotFound | StoreFailure>;
    /** What happened after a sequence, then what happens. Ends with the job. */
    readonly watch: (
      jobId: string,
      after: number,
    ) => Stream.Stream<WatchEvent, JobNotFound | SequenceOutOfRange | StoreFailure>;
    /** How the store is doing; undefined while nobody has needed it. */
    readonly storeCondition: () => StoreCondition | undefined;
    /** Items that run on this host. */
    readonly running: () => number;
  }
>()("mlxd/jobs/Jobs") {}
