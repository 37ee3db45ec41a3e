import { type CallOptions as ConnectCallOptions, createClient, type Transport } from "@connectrpc/connect";
import { type CallOptions, checkCallOptions } from "../call.ts";
import { type Caller, checkOptions } from "../caller.ts";
import { checkChoice, checkEnum, checkFlag, checkList, checkText, checkWhole } from "../check.ts";
import { DerivedStream } from "../derived-stream.ts";
import { EventStream } from "../event-stream.ts";
import { JobService, JobState, StreamJobResultsRequest_Order as Order } from "../gen/mlxd/v1/job_service_pb.ts";
import { pages } from "../pages.ts";
import { createJob } from "./create-job.ts";
import { labelsOf } from "./job-options.ts";
import type { JobItem, JobsClient } from "./jobs.ts";
import { jobEventFromWire, jobFromWire, jobItemFromWire, jobResultFromWire } from "./jobs-from-wire.ts";
import { connectionOptions, readOn, type Resumable } from "./reconnect.ts";
import { streamTask } from "./stream-task.ts";

/** A call whose stream can be taken up again after any of its events. */
interface ResumableCall<Message, Event> extends Omit<Resumable<Event>, "open"> {
  readonly open: (after: number, connect: ConnectCallOptions) => AsyncIterable<Message>;
  readonly accept: (message: Message) => Event | undefined;
}

/** The calls of the JobService. */
export const createJobsClient = (caller: Caller, transport: Transport): JobsClient => {
  const raw = createClient(JobService, transport);

  /** A stream that connects again. Its options are checked now; it begins when the first event is requested. */
  const resumable = <Message, Event>(
    options: CallOptions,
    { open, accept, placeOf, after }: ResumableCall<Message, Event>,
  ): DerivedStream<Event, void> => {
    const { clock } = caller;
    checkCallOptions(options, undefined);
    return new DerivedStream(async function* (signal) {
      const connection = connectionOptions(options, clock);
      const openAfter = (place: number, left: AbortSignal) =>
        new EventStream(
          caller.source(connection(left), (connect) => open(place, connect)),
          { accept, end: () => {} },
        );
      yield* readOn({ open: openAfter, placeOf, after }, clock, signal);
    }, options.signal);
  };

  return {
    create: (tasks, options = {}) => createJob(caller, raw, tasks, options),

    stream: (input, options = {}) => streamTask(caller, raw, input, options),

    get: async (jobId, options = {}) => {
      const request = { jobId: checkText(jobId, "jobId") };
      return jobFromWire((await caller.unary(options, (connect) => raw.getJob(request, connect))).job);
    },

    list: (options = {}) => {
      const { states = [], labels = {}, ...call } = checkOptions(options);
      const request = { states: statesToWire(states), labels: labelsOf(labels) };
      checkCallOptions(call, undefined);
      return pages(async (pageToken) => {
        const page = await caller.unary(call, (connect) => raw.listJobs({ ...request, pageToken }, connect));
        return { items: page.jobs.map(jobFromWire), next: page.nextPageToken };
      });
    },

    items: (jobId, options = {}) => {
      const { states = [], ...call } = checkOptions(options);
      const request = { jobId: checkText(jobId, "jobId"), states: statesToWire(states), pageSize: 1000 };
      checkCallOptions(call, undefined);
      return pages<JobItem>(async (pageToken) => {
        const page = await caller.unary(call, (connect) => raw.listJobItems({ ...request, pageToken }, connect));
        return { items: page.items.map(jobItemFromWire), next: page.nextPageToken };
      });
    },

    results: (jobId, options = {}) => {
      const { order = "index", after = 0, availableOnly = false, ...call } = checkOptions(options);
      checkChoice(order, "order", ["index", "finished"]);
      const request = {
        jobId: checkText(jobId, "jobId"),
        order: order === "index" ? Order.INDEX : Order.FINISHED,
        availableOnly: checkFlag(availableOnly, "availableOnly"),
      };
      return resumable(call, {
        open: (afterCursor, connect) => raw.streamJobResults({ ...request, afterCursor }, connect),
        accept: jobResultFromWire,
        placeOf: ({ cursor }) => cursor,
        after: checkWhole(after, "after"),
      });
    },

    watch: (jobId, options = {}) => {
      const { after = 0, ...call } = checkOptions(options);
      const request = { jobId: checkText(jobId, "jobId") };
      return resumable(call, {
        open: (afterSequence, connect) => raw.watchJob({ ...request, afterSequence }, connect),
        accept: jobEventFromWire,
        placeOf: ({ sequence }) => sequence,
        after: checkWhole(after, "after"),
      });
    },

    cancel: async (jobId, options = {}) => {
      const request = { jobId: checkText(jobId, "jobId") };
      return jobFromWire((await caller.unary(options, (connect) => raw.cancelJob(request, connect))).job);
    },

    delete: async (jobId, options = {}) => {
      const request = { jobId: checkText(jobId, "jobId") };
      await caller.unary(options, (connect) => raw.deleteJob(request, connect));
    },
  };
};

const statesToWire = (states: unknown): JobState[] =>
  checkList(states, "states").map((state, at) => checkEnum(JobState, state, `states[${at}]`));
