import { Schema } from "effect";

/**
 * - `time-limit`, `memory-limit`: the job passed it, and its process was ended;
 * - `crashed`: its process ended by itself, twice;
 * - `threw`: the job's function threw; `cause` is its message;
 * - `queue-full`: too many jobs wait.
 */
const reasons = ["time-limit", "memory-limit", "crashed", "threw", "queue-full"] as const;

/** A job of the sandbox has no result. */
export class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", {
  job: Schema.String,
  reason: Schema.Literals(reasons),
  /** What happened, as the end of a sentence that names the work: "takes more than 5000 ms". */
  cause: Schema.String,
}) {
  override get message(): string {
    return `the job ${this.job} ${this.cause}`;
  }
}

export type JobFailureReason = JobFailed["reason"];
