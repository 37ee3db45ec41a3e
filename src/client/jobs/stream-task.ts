import type { Client } from "@connectrpc/connect";
import { GenerationAssembler } from "../assemble-generation.ts";
import { type Attempt, type CallOptions, checkCallOptions } from "../call.ts";
import { type Caller, checkOptions } from "../caller.ts";
import { checkKeys, checkObject, checkText } from "../check.ts";
import { errorFromStatus } from "../decode-error.ts";
import { type GenerationProgress, type MlxdError, protocolError } from "../errors.ts";
import { EventStream } from "../event-stream.ts";
import {
  type CreateJobResponse,
  type JobService,
  JobState,
  type StreamJobResultsResponse,
  type WatchJobResponse,
} from "../gen/mlxd/v1/job_service_pb.ts";
import type { NameOf } from "../option-names.ts";
import type { GenerationResult } from "../results.ts";
import type { GenerationInput } from "../task.ts";
import { createPatiently } from "./create-patiently.ts";
import { jobOptionsToWire } from "./job-options.ts";
import { JobStream, type JobStreamEvent, type StreamedJob } from "./job-stream.ts";
import type { StreamedJobOptions, StreamTaskOptions } from "./jobs.ts";
import { jobFromWire } from "./jobs-from-wire.ts";
import { connectionOptions, readOn } from "./reconnect.ts";

/** A job that is being read. */
interface Reading {
  readonly caller: Caller;
  readonly raw: Client<typeof JobService>;
  readonly jobId: string;
  /** The options of each connection. */
  readonly connection: (signal: AbortSignal) => CallOptions;
  readonly signal: AbortSignal;
}

/** Runs one task as a job, and streams its generation. */
export const streamTask = (
  caller: Caller,
  raw: Reading["raw"],
  input: GenerationInput,
  options: StreamTaskOptions,
): JobStream => {
  const { job: jobOptions = {}, ...generation } = checkOptions(options);
  const { requestId, ...others } = checkJobOptions(jobOptions);
  const { task, call, nameOf } = caller.task(input, generation);
  checkCallOptions(call, undefined);
  const request = {
    requestId: checkText(requestId ?? crypto.randomUUID(), "job.requestId"),
    items: [{ task }],
    options: jobOptionsToWire(others, undefined, "job"),
  };
  const candidateCount = task.sampling?.candidateCount ?? 1;
  const streamed: StreamedJob = { id: undefined };

  const events = async function* (signal: AbortSignal): AsyncGenerator<JobStreamEvent, GenerationResult, undefined> {
    const { closings } = caller;
    const connection = connectionOptions(call, caller.clock);
    const creating = { ...call, signal };
    const create: Attempt<CreateJobResponse> = (connect) => raw.createJob(request, connect);
    const { job } = await (requestId === undefined
      ? createPatiently(caller, creating, create, nameOf)
      : caller.unary(creating, create, nameOf));
    const { jobId } = jobFromWire(job);
    streamed.id = jobId;
    const reading = { caller, raw, jobId, connection, signal };
    let isOver = false;
    try {
      let assembler = new GenerationAssembler(candidateCount);
      let isCompleted = false;
      for await (const { event } of watch(reading, () => assembler.progress())) {
        if (event.case === "generation") {
          const generated = assembler.accept(event.value);
          if (generated !== undefined) yield generated;
        } else if (event.case === "restarted") {
          assembler = new GenerationAssembler(candidateCount);
          yield { type: "restarted", attempt: event.value.attempt };
        } else if (event.case === "item") {
          isCompleted = event.value.state === JobState.COMPLETED;
        }
      }
      isOver = true;
      if (!isCompleted) throw await failureOf(reading, nameOf);
      assembler.end();
      return assembler.result();
    } finally {
      // Without a request id nobody else knows of the job, so nobody would read what it generates.
      if (!isOver && requestId === undefined && caller.closings === closings) await cancel(reading, call);
    }
  };
  return new JobStream(events, call.signal, streamed);
};

const jobOptionNames = ["requestId", "priority", "labels", "expiresAfterMs", "maxAttempts", "retentionMs"];

const checkJobOptions = (options: unknown): StreamedJobOptions => {
  const given = checkObject(options, "job");
  checkKeys(given, "job", jobOptionNames, "option");
  return given; // each is checked where it is read
};

/** The events of the job, over as many connections as it takes. */
const watch = (
  { caller, raw, jobId, connection, signal }: Reading,
  progress: () => GenerationProgress | undefined,
): AsyncIterable<WatchJobResponse> => {
  const open = (afterSequence: number, left: AbortSignal) => {
    let due = afterSequence;
    const accept = (response: WatchJobResponse): WatchJobResponse => {
      due += 1;
      if (response.sequence === due) return response;
      throw protocolError(`event ${response.sequence} of job ${jobId} came where ${due} was due`);
    };
    const source = caller.source(connection(left), (connect) => raw.watchJob({ jobId, afterSequence }, connect));
    return new EventStream(source, { accept, end: () => {}, progress });
  };
  return readOn({ open, placeOf: ({ sequence }) => sequence, after: 0 }, caller.clock, signal);
};

/** Why the only item of the job has no result. */
const failureOf = async ({ caller, raw, jobId, connection, signal }: Reading, nameOf: NameOf): Promise<MlxdError> => {
  const open = (afterCursor: number, left: AbortSignal) => {
    const accept = ({ item }: StreamJobResultsResponse): MlxdError | undefined =>
      item?.outcome.case === "error" ? errorFromStatus(item.outcome.value, nameOf) : undefined;
    const source = caller.source(connection(left), (connect) => raw.streamJobResults({ jobId, afterCursor }, connect));
    return new EventStream(source, { accept, end: () => {} });
  };
  for await (const error of readOn({ open, placeOf: () => 1, after: 0 }, caller.clock, signal)) return error;
  return protocolError(`job ${jobId} is over, but has neither a result nor an error`);
};

/** If the service is gone, there is no point in waiting for it. */
const cancelWithinMs = 2_000;

const cancel = async ({ caller, raw, jobId }: Reading, { headers }: CallOptions): Promise<void> => {
  const within = { headers, timeoutMs: cancelWithinMs };
  await caller.unary(within, (connect) => raw.cancelJob({ jobId }, connect)).catch(() => {});
};
