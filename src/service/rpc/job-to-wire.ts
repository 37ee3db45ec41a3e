/** Converts jobs and their outcomes to messages. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";

import type { Status } from "../../client/gen/google/rpc/status_pb.ts";
import {
  type JobItemSchema,
  type JobSchema,
  JobState as Wire,
  type StreamJobResultsResponse,
  StreamJobResultsResponseSchema,
  type WatchJobResponse,
  WatchJobResponseSchema,
} from "../../client/gen/mlxd/v1/job_service_pb.ts";
import { JobExpired } from "../domain/errors.ts";
import type { ItemFailure, ItemOutcome, ItemResult, Job, JobItem, JobState, WatchEvent } from "../domain/job.ts";
import { durationFromMs } from "./duration.ts";
import { errorInfo } from "./error-details.ts";
import { statusFrom, wireErrorFrom, wireErrorFromFailure } from "./error-to-wire.ts";
import { eventToWire, resultToWire } from "./generation-to-wire.ts";

export const jobStatesToWire = {
  pending: Wire.PENDING,
  "in-progress": Wire.IN_PROGRESS,
  completed: Wire.COMPLETED,
  failed: Wire.FAILED,
  cancelled: Wire.CANCELLED,
  expired: Wire.EXPIRED,
} as const satisfies Record<JobState, Wire>;

const at = <K extends string>(key: K, ms: number | undefined) =>
  ms === undefined ? {} : { [key]: timestampFromMs(ms) };

export const jobToWire = (job: Job): MessageInitShape<typeof JobSchema> => {
  const { expiresAfterMs, retentionMs, labels, ...options } = job.options;
  return {
    jobId: job.id,
    requestId: job.requestId,
    state: jobStatesToWire[job.state],
    sealed: job.sealed,
    counts: job.counts,
    usage: job.usage,
    itemBytes: job.itemBytes,
    options: {
      ...options,
      labels: { ...labels },
      expiresAfter: durationFromMs(expiresAfterMs),
      retention: durationFromMs(retentionMs),
    },
    lastSequence: job.lastSequence,
    ...at("createdAt", job.createdAt),
    ...at("startedAt", job.startedAt),
    ...at("finishedAt", job.finishedAt),
    ...at("expiresAt", job.expiresAt),
    ...at("deletedAt", job.deletedAt),
  };
};

export const itemToWire = ({
  index,
  itemId,
  state,
  attempts,
  retryAt,
}: JobItem): MessageInitShape<typeof JobItemSchema> => ({
  index,
  itemId,
  state: jobStatesToWire[state],
  attempts: attempts.map(({ number, startedAt, finishedAt, failure, host }) => ({
    number,
    host,
    ...at("startedAt", startedAt),
    ...at("finishedAt", finishedAt),
    ...(failure !== undefined && { error: failureToStatus(failure) }),
  })),
  ...at("retryAt", retryAt),
});

const failureToStatus = (failure: ItemFailure): Status =>
  statusFrom(failure.type === "error" ? wireErrorFrom(failure.error) : wireErrorFromFailure(failure));

export const itemResultToWire = (
  jobId: string,
  { cursor, index, itemId, attempts, outcome }: ItemResult,
): StreamJobResultsResponse =>
  create(StreamJobResultsResponseSchema, {
    cursor,
    attempts,
    item: { index, itemId, outcome: outcomeToWire(jobId, outcome) },
  });

const outcomeToWire = (jobId: string, outcome: ItemOutcome) => {
  switch (outcome.type) {
    case "result":
      return { case: "result", value: resultToWire(outcome.result, outcome.reported) } as const;
    case "cancelled":
      return { case: "error", value: cancelledStatus(jobId) } as const;
    case "expired":
      return { case: "error", value: statusFrom(wireErrorFrom(new JobExpired({ jobId }))) } as const;
    default:
      return { case: "error", value: failureToStatus(outcome) } as const;
  }
};

const cancelledStatus = (jobId: string): Status =>
  statusFrom({
    code: Code.Canceled,
    message: `job ${jobId} was cancelled before this item had its outcome`,
    details: [errorInfo("CANCELLED", { jobId })],
    metadata: {},
  });

export const watchEventToWire = ({ sequence, ...event }: WatchEvent): WatchJobResponse =>
  create(WatchJobResponseSchema, { sequence, event: eventCase(event) });

type EventCase = NonNullable<MessageInitShape<typeof WatchJobResponseSchema>["event"]>;

const eventCase = (event: DistributiveOmit<WatchEvent, "sequence">): EventCase => {
  switch (event.type) {
    case "job":
      return { case: "job", value: { state: jobStatesToWire[event.state], sealed: event.sealed } };
    case "item":
      return {
        case: "item",
        value: { index: event.index, itemId: event.itemId, state: jobStatesToWire[event.state] },
      };
    case "generation":
      return { case: "generation", value: eventToWire(event.event, event.number, event.reported) };
    case "restarted":
      return { case: "restarted", value: { attempt: event.attempt } };
  }
};

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
