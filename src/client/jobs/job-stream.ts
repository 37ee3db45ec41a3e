import { DerivedStream } from "../derived-stream.ts";
import type { GenerationEvent } from "../events.ts";
import type { GenerationResult } from "../results.ts";

/** An event of a {@link JobStream}: those of a generation, and `restarted` where it starts again. */
export type JobStreamEvent = GenerationEvent | GenerationRestarted;

/**
 * The generation starts again: its earlier events are void, and a new `started` follows. This happens only if a later attempt
 * does not repeat the text of an earlier one.
 */
export interface GenerationRestarted {
  readonly type: "restarted";
  /** The number of the new attempt, from 1. */
  readonly attempt: number;
}

/** What is known of the job so far. */
export interface StreamedJob {
  id: string | undefined;
}

/**
 * The events of a generation that runs as a job. If the connection is cut or the service restarts, the stream connects again
 * and continues after the last event that it has read.
 */
export class JobStream extends DerivedStream<JobStreamEvent, GenerationResult> {
  readonly #job: StreamedJob;

  /** For this package only: streams come from a client. */
  constructor(
    events: (signal: AbortSignal) => AsyncGenerator<JobStreamEvent, GenerationResult, undefined>,
    signal: AbortSignal | undefined,
    job: StreamedJob,
  ) {
    super(events, signal);
    this.#job = job;
  }

  /** The job's id, as soon as the service has the job; before that undefined. */
  get jobId(): string | undefined {
    return this.#job.id;
  }
}
