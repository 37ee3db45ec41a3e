/** Jobs whose callers leave before the service has told of them: nobody else would know of these. */
import { createRouterTransport } from "@connectrpc/connect";
import { assert, describe, it } from "vitest";

import { type Clock, systemClock } from "../../../src/client/clock.ts";
import { createParts } from "../../../src/client/create-client.ts";
import { JobService } from "../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import { createJobsClient } from "../../../src/client/jobs/create-jobs.ts";
import type { JobsClient } from "../../../src/client/jobs/jobs.ts";
import { mlxdErrorOf } from "../../support/error-of.ts";

/** A service that takes its time to create the job, and what is undone there. */
const slowService = (clock?: Clock) => {
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<void>();
  const undone: string[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(JobService, {
      createJob: async () => {
        asked.resolve();
        await answer.promise;
        return { job: { jobId: "j", sealed: true } };
      },
      cancelJob: ({ jobId }) => {
        undone.push(`cancel ${jobId}`);
        return {};
      },
      deleteJob: ({ jobId }) => {
        undone.push(`delete ${jobId}`);
        return {};
      },
    }),
  );
  const { caller } = createParts(transport, { retry: false, ...(clock && { clock }) }, () => {});
  return { jobs: createJobsClient(caller, transport), asked: asked.promise, answer: answer.resolve, undone };
};

describe("a job whose caller leaves while it is created", () => {
  it("is undone once the service has told of it", async () => {
    for (const [undoing, create] of [
      ["cancel j", (jobs: JobsClient, signal: AbortSignal) => jobs.stream("hi", { signal }).collect()],
      ["delete j", (jobs: JobsClient, signal: AbortSignal) => jobs.create([{ input: "hi" }], { signal })],
    ] as const) {
      const { jobs, asked, answer, undone } = slowService();
      const leaving = new AbortController();
      const creating = mlxdErrorOf(create(jobs, leaving.signal));
      await asked;
      leaving.abort();
      answer();
      assert.equal((await creating).reason, "CANCELLED");
      assert.deepEqual(undone, [undoing]);
    }
  });

  it("is not waited for for long, and with a request id not at all", async () => {
    const slept: number[] = [];
    const clock: Clock = { ...systemClock, sleep: async (ms) => void slept.push(ms) };
    for (const [requestId, waits] of [
      [undefined, [2_000]],
      ["a story", []],
    ] as const) {
      slept.length = 0;
      const { jobs, asked, undone } = slowService(clock);
      const leaving = new AbortController();
      const creating = mlxdErrorOf(jobs.stream("hi", { signal: leaving.signal, job: { requestId } }).collect());
      await asked;
      leaving.abort();
      assert.equal((await creating).reason, "CANCELLED");
      assert.deepEqual<readonly number[]>(slept, waits);
      assert.isEmpty(undone);
    }
  });
});
