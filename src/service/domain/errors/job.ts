/** Errors of calls that concern jobs. */
import { Schema } from "effect";

/** The tenant has no such job: it never existed, was deleted, or belongs to another tenant. */
export class JobNotFound extends Schema.TaggedError<JobNotFound>()("JobNotFound", { jobId: Schema.String }) {
  override get message(): string {
    return `there is no job "${this.jobId}"; ListJobs tells which there are`;
  }
}

/** The request id was used before for a job with different content. */
export class JobConflict extends Schema.TaggedError<JobConflict>()("JobConflict", {
  requestId: Schema.String,
  jobId: Schema.String,
  /** The fields of the request that differ. */
  differs: Schema.Array(Schema.String),
}) {
  override get message(): string {
    return (
      `request id "${this.requestId}" was used for job ${this.jobId} with other ${this.differs.join(", ")}: ` +
      "repeat the same request, or take a new id"
    );
  }
}

/** The appended items would leave a gap before them. */
export class JobGap extends Schema.TaggedError<JobGap>()("JobGap", {
  jobId: Schema.String,
  offset: Schema.Number,
  expectedOffset: Schema.Number,
}) {
  override get message(): string {
    return `job ${this.jobId} has ${this.expectedOffset} items, not ${this.offset}: go on at offset ${this.expectedOffset}`;
  }
}

/** The job is sealed and takes no more items. */
export class JobSealed extends Schema.TaggedError<JobSealed>()("JobSealed", {
  jobId: Schema.String,
  total: Schema.Number,
}) {
  override get message(): string {
    return `job ${this.jobId} is sealed with ${this.total} items; create another job for more`;
  }
}

/** The job has ended. */
export class JobOver extends Schema.TaggedError<JobOver>()("JobOver", { jobId: Schema.String, state: Schema.String }) {
  override get message(): string {
    return `job ${this.jobId} is over: it is ${this.state}; create another one`;
  }
}

/** The job would exceed one of its limits. */
export class JobTooLarge extends Schema.TaggedError<JobTooLarge>()("JobTooLarge", {
  what: Schema.Literals(["items", "bytes", "models"]),
  count: Schema.Number,
  limit: Schema.Number,
}) {
  override get message(): string {
    return `a job has at most ${this.limit} ${this.what}, and this one would have ${this.count}: divide it into several`;
  }
}

/** The job has not reached this sequence yet. */
export class SequenceOutOfRange extends Schema.TaggedError<SequenceOutOfRange>()("SequenceOutOfRange", {
  jobId: Schema.String,
  sequence: Schema.Number,
  last: Schema.Number,
}) {
  override get message(): string {
    return `job ${this.jobId} has come to ${this.last}, and ${this.sequence} is not there yet`;
  }
}

/** The store of jobs does not answer or has no room. */
export class JobStoreUnavailable extends Schema.TaggedError<JobStoreUnavailable>()("JobStoreUnavailable", {
  cause: Schema.String,
  retryAfterMs: Schema.Number,
}) {
  override get message(): string {
    return `the store of jobs cannot be used now: ${this.cause}; what it holds is kept, try again`;
  }
}

/** The store of jobs cannot be used in its current state. */
export class JobStoreUnusable extends Schema.TaggedError<JobStoreUnusable>()("JobStoreUnusable", {
  cause: Schema.String,
}) {
  override get message(): string {
    return `the store of jobs cannot be used: ${this.cause}`;
  }
}

/** The host that ran an attempt at an item has ended. */
export class HostLost extends Schema.TaggedError<HostLost>()("HostLost", { host: Schema.String }) {
  override get message(): string {
    return `the host ${this.host} ended while it ran this; it is run again`;
  }
}

/** The job expired before the item had an outcome. */
export class JobExpired extends Schema.TaggedError<JobExpired>()("JobExpired", { jobId: Schema.String }) {
  override get message(): string {
    return `job ${this.jobId} expired before this item had its outcome; give a job more time with expires_after`;
  }
}
