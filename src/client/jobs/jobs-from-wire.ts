import { durationMs, type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { errorFromStatus } from "../decode-error.ts";
import { enumName, type JobState } from "../enum-names.ts";
import { protocolError } from "../errors.ts";
import { eventFromWire } from "../events.ts";
import {
  type Job as JobMessage,
  type JobItem as JobItemMessage,
  JobStateSchema,
  type StreamJobResultsResponse,
  type WatchJobResponse,
} from "../gen/mlxd/v1/job_service_pb.ts";
import { resultFromWire } from "../results.ts";
import { usageFromWire } from "../usage.ts";
import type { Job, JobEvent, JobItem, JobResult } from "./jobs.ts";

const stateFromWire = (state: number): JobState => enumName(JobStateSchema, state) as JobState; // the same names

const dateOf = (time: Timestamp | undefined): Date | undefined => time && timestampDate(time);

/** Reads a job. */
export const jobFromWire = (job: JobMessage | undefined): Job => {
  if (!job) throw protocolError("there is no job in the answer");
  const { counts, options } = job;
  return {
    jobId: job.jobId,
    requestId: job.requestId,
    state: stateFromWire(job.state),
    sealed: job.sealed,
    counts: {
      total: counts?.total ?? 0,
      pending: counts?.pending ?? 0,
      inProgress: counts?.inProgress ?? 0,
      completed: counts?.completed ?? 0,
      failed: counts?.failed ?? 0,
      cancelled: counts?.cancelled ?? 0,
      expired: counts?.expired ?? 0,
    },
    usage: usageFromWire(job.usage),
    itemBytes: job.itemBytes,
    options: {
      priority: options?.priority ?? 0,
      labels: options?.labels ?? {},
      expiresAfterMs: options?.expiresAfter && durationMs(options.expiresAfter),
      maxParallel: options?.maxParallel,
      maxAttempts: options?.maxAttempts,
      retentionMs: options?.retention && durationMs(options.retention),
    },
    lastSequence: job.lastSequence,
    createdAt: dateOf(job.createdAt),
    startedAt: dateOf(job.startedAt),
    finishedAt: dateOf(job.finishedAt),
    expiresAt: dateOf(job.expiresAt),
    deletedAt: dateOf(job.deletedAt),
  };
};

/** Reads an item. */
export const jobItemFromWire = ({ index, itemId, state, attempts, retryAt }: JobItemMessage): JobItem => ({
  index,
  itemId,
  state: stateFromWire(state),
  attempts: attempts.map(({ number, startedAt, finishedAt, error, host }) => ({
    number,
    startedAt: dateOf(startedAt),
    finishedAt: dateOf(finishedAt),
    error: error && errorFromStatus(error),
    host,
  })),
  retryAt: dateOf(retryAt),
});

/** Reads what became of an item. */
export const jobResultFromWire = ({ cursor, item, attempts }: StreamJobResultsResponse): JobResult => {
  if (!item) throw protocolError("a result is of no item");
  const { index, itemId, outcome } = item;
  const common = { cursor, index, itemId, attempts };
  switch (outcome.case) {
    case "result":
      return { ...common, result: resultFromWire(outcome.value) };
    case "error":
      return { ...common, error: errorFromStatus(outcome.value) };
    case undefined:
      throw protocolError(`item ${index} has neither a result nor an error`);
  }
};

/** Reads an event; undefined for a kind that is newer than this client. */
export const jobEventFromWire = ({ sequence, event }: WatchJobResponse): JobEvent | undefined => {
  switch (event.case) {
    case "job":
      return { sequence, type: "job", state: stateFromWire(event.value.state), sealed: event.value.sealed };
    case "item": {
      const { index, itemId, state } = event.value;
      return { sequence, type: "item", index, itemId, state: stateFromWire(state) };
    }
    case "generation": {
      const generation = eventFromWire(event.value);
      return generation && { sequence, type: "generation", event: generation };
    }
    case "restarted":
      return { sequence, type: "restarted", attempt: event.value.attempt };
    case undefined:
      return undefined;
  }
};
