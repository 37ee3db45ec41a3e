import type { ServiceImpl } from "@connectrpc/connect";
import { Effect } from "effect";

import { type JobService, StreamJobResultsRequest_Order as Order } from "../../client/gen/mlxd/v1/job_service_pb.ts";
import { Jobs } from "../jobs/Jobs.ts";
import { Models } from "../models/Models.ts";
import { Bridge } from "./Bridge.ts";
import {
  defaultsFromStored,
  itemsFromWire,
  jobFromWire,
  jobStatesFromWire,
  pageSizeOf,
  pageStart,
  pageToken,
} from "./job-from-wire.ts";
import { itemResultToWire, itemToWire, jobToWire, watchEventToWire } from "./job-to-wire.ts";

export const makeJobService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const jobs = yield* Jobs;
  const models = yield* Models;
  return {
    createJob: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { job, created } = yield* jobs.create(yield* jobFromWire(request, models));
          return { job: jobToWire(job), created };
        }),
      ),
    appendJobItems: (received, context) =>
      bridge.unary(received, context, ({ jobId, offset, items, seal }) =>
        Effect.gen(function* () {
          const defaults = defaultsFromStored(yield* jobs.defaults(jobId));
          const piece = { jobId, offset, seal, items: yield* itemsFromWire(items, models, defaults) };
          return { nextOffset: yield* jobs.append(piece) };
        }),
      ),
    sealJob: (received, context) =>
      bridge.unary(received, context, ({ jobId, total }) =>
        Effect.map(jobs.seal(jobId, total), (job) => ({ job: jobToWire(job) })),
      ),
    getJob: (received, context) =>
      bridge.unary(received, context, ({ jobId }) => Effect.map(jobs.get(jobId), (job) => ({ job: jobToWire(job) }))),
    listJobs: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { labels } = request;
          const states = jobStatesFromWire(request.states);
          const of = JSON.stringify([
            states,
            Object.keys(labels)
              .toSorted()
              .map((key) => [key, labels[key]]),
          ]);
          const from = yield* pageStart(request.pageToken, of);
          const page = yield* jobs.list({ size: pageSizeOf(request.pageSize), from, states, labels });
          return { jobs: page.rows.map(jobToWire), nextPageToken: pageToken(page.next, of) };
        }),
      ),
    listJobItems: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { jobId } = request;
          const states = jobStatesFromWire(request.states);
          const of = JSON.stringify([jobId, states]);
          const from = yield* pageStart(request.pageToken, of);
          const page = yield* jobs.items({ jobId, size: pageSizeOf(request.pageSize), from, states });
          return { items: page.rows.map(itemToWire), nextPageToken: pageToken(page.next, of) };
        }),
      ),
    streamJobResults: (received, context) =>
      bridge.stream(received, context, {
        stream: ({ jobId, order, afterCursor = 0, availableOnly }) =>
          jobs.results({
            jobId,
            order: order === Order.FINISHED ? "finished" : "index",
            after: afterCursor,
            availableOnly,
          }),
        toWire: (result) => itemResultToWire(received.jobId, result),
        // A watch may last as long as the job.
        endless: true,
      }),
    cancelJob: (received, context) =>
      bridge.unary(received, context, ({ jobId }) =>
        Effect.map(jobs.cancel(jobId), (job) => ({ job: jobToWire(job) })),
      ),
    deleteJob: (received, context) => bridge.unary(received, context, ({ jobId }) => Effect.as(jobs.delete(jobId), {})),
    watchJob: (received, context) =>
      bridge.stream(received, context, {
        stream: ({ jobId, afterSequence = 0 }) => jobs.watch(jobId, afterSequence),
        toWire: watchEventToWire,
        endless: true,
      }),
  } satisfies ServiceImpl<typeof JobService>;
});
