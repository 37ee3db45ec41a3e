/** `client.jobs.create` against the real server. */
import { randomUUID } from "node:crypto";
import { createRouterTransport } from "@connectrpc/connect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { createParts } from "../../../src/client/create-client.ts";
import { JobService } from "../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import { createJobsClient } from "../../../src/client/jobs/create-jobs.ts";
import { type BatchItem, createMlxdClient } from "../../../src/client/node.ts";
import { collect } from "../../support/collect.ts";
import { errorOf, mlxdErrorOf } from "../../support/error-of.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

const tasks = (count: number): BatchItem[] =>
  Array.from({ length: count }, (_, index) => ({ itemId: `q${index}`, input: { prompt: `question ${index}` } }));

/** Tasks of which there are 1,200, unless fewer are asked for: then it fails after these. */
const breaking = async function* (until: number) {
  for (const task of tasks(until)) yield task;
  if (until < 1200) throw new Error("the source broke");
};

/** Only what hangs takes as long. */
describe("client.jobs.create", { timeout: 600_000 }, () => {
  let server: TestServer;
  let client: ReturnType<typeof createMlxdClient>;
  beforeAll(async () => {
    server = await startTestServer();
    client = createMlxdClient({ baseUrl: server.url });
  });
  afterAll(async () => {
    client.close();
    await server.close();
  });

  it("takes any iterable, and goes on where a call before it was cut", async () => {
    const told: number[] = [];
    const options = { requestId: "nightly", onProgress: (count: number) => void told.push(count) };
    const broken = await client.jobs.create(breaking(1100), options).catch((error: unknown) => error);
    assert.match(String(broken), /the source broke/);
    assert.deepEqual(told, [1000]);
    const job = await client.jobs.create(breaking(1200), options);
    assert.isTrue(job.sealed);
    assert.strictEqual(job.counts.total, 1200);
    assert.deepEqual(told, [1000, 1000, 1200]);
    const again = await client.jobs.create(breaking(1200), options);
    assert.strictEqual(again.jobId, job.jobId);
    assert.strictEqual((await mlxdErrorOf(client.jobs.create(tasks(3), options))).reason, "JOB_CONFLICT");
    await client.jobs.delete(job.jobId);
  });

  it("leaves nothing behind where it fails and nobody can go on with it", async () => {
    const labels = { test: randomUUID() };
    const failing: readonly [string, () => Promise<unknown>][] = [
      ["the source breaks", () => client.jobs.create(breaking(1100), { labels })],
      ["it is left", () => left(client, labels)],
      ["its tasks are too large for a job", () => client.jobs.create(ofManyModels(), { labels, requestId: "large" })],
      ["one of its tasks is invalid", () => client.jobs.create(withInvalid(), { labels, requestId: "invalid" })],
    ];
    for (const [what, create] of failing) {
      await errorOf(create());
      assert.isEmpty(await collect(client.jobs.list({ labels })), what);
    }
    assert.strictEqual(
      (await mlxdErrorOf(client.jobs.create(ofManyModels(), { requestId: "large" }))).reason,
      "JOB_TOO_LARGE",
    );
  });

  it("leaves a job alone that an earlier call completed", async () => {
    const options = { requestId: "complete", labels: { test: randomUUID() } };
    const { jobId } = await client.jobs.create(tasks(1100), options);
    for (const others of [withInvalid, ofManyModels]) {
      await errorOf(client.jobs.create(others(), options));
      assert.strictEqual((await client.jobs.get(jobId)).counts.total, 1100);
    }
    await client.jobs.delete(jobId);
  });
});

it("client.jobs.create makes no further call once its client is closed, which would connect again", async () => {
  const calls: string[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(JobService, {
      createJob: () => ({ job: { jobId: "j" } }),
      appendJobItems: () => {
        calls.push("append");
        caller.cancelAll(new Error("the client was closed"));
        return new Promise(() => {});
      },
      deleteJob: () => {
        calls.push("delete");
        return {};
      },
    }),
  );
  const { caller } = createParts(transport, { retry: false }, () => {});
  const creating = createJobsClient(caller, transport).create(tasks(1100));
  assert.strictEqual((await mlxdErrorOf(creating)).reason, "CANCELLED");
  assert.deepEqual(calls, ["append"]);
});

/** 1,100 tasks that are valid, and then one that is not. */
function* withInvalid(): Generator<BatchItem> {
  yield* tasks(1100);
  yield { input: { prompt: "a" }, temperature: Number.NaN };
}

/** 1,000 tasks that fit, and then more models than a job may have. */
function* ofManyModels(): Generator<BatchItem> {
  yield* tasks(1000);
  for (let count = 0; count < 101; count++) yield { input: { prompt: "a" }, model: `model ${count}` };
}

const left = async (client: ReturnType<typeof createMlxdClient>, labels: Record<string, string>): Promise<unknown> => {
  const leaving = new AbortController();
  return client.jobs.create(breaking(1200), { labels, signal: leaving.signal, onProgress: () => leaving.abort() });
};
