import { Schema } from "effect";

/**
 * - `time-limit`, `memory-limit`: the job passed it, and its process was ended;
 * - `crashed`: its process ended by itself, twice;
 * - `killed`: its process was ended from outside, twice, or could not be started: that says nothing of the job;
 * - `threw`: the job's function threw; `cause` is its message;
 * - `queue-full`: too many jobs wait.
 */
const reasons = ["time-limit", "memory-limit", "crashed", "killed", "threw", "queue-full"] as const;

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
