import { Schema } from "effect";

/**
 * - `time-limit`, `memory-limit`: the job exceeded the limit, and its process was ended;
 * - `crashed`: its process ended by itself, twice;
 * - `killed`: its process was killed from outside, twice, or could not be started, neither of which is the job's fault;
 * - `threw`: the job's function threw, with the message in `cause`;
 * - `queue-full`: too many jobs are waiting.
 */
const reasons = ["time-limit", "memory-limit", "crashed", "killed", "threw", "queue-full"] as const;

/** A sandbox job failed without a result. */
export class JobFailed extends Schema.TaggedError<JobFailed>()("JobFailed", {
  job: Schema.String,
  reason: Schema.Literals(reasons),
  /** What happened, as the end of a sentence whose subject is the work: "takes more than 5000 ms". */
  cause: Schema.String,
}) {
  override get message(): string {
    return `the job ${this.job} ${this.cause}`;
  }
}

export type JobFailureReason = JobFailed["reason"];
