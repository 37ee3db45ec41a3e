/** `client.jobs.stream` against the real server: over cut connections, and over restarts of the server with the same store. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { createParts } from "../../../src/client/create-client.ts";
import { JobService, JobState, type WatchJobResponseSchema } from "../../../src/client/gen/mlxd/v1/job_service_pb.ts";
import { createJobsClient } from "../../../src/client/jobs/create-jobs.ts";
import { createMlxdClient, type JobStreamEvent, MlxdError, type NodeClient } from "../../../src/client/node.ts";
import { ModelNotFound } from "../../../src/service/domain/errors.ts";
import { collect } from "../../support/collect.ts";
import { startCuttingProxy } from "../../support/cutting-proxy.ts";
import { mlxdErrorOf } from "../../support/error-of.ts";
import { saying } from "../../support/scripted-events.ts";
import { eventsOf, promptOf } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer, type TestServerOptions } from "../../support/test-server.ts";
import { until } from "../../support/until.ts";

const words = Array.from({ length: 40 }, (_, index) => `word ${index} 🦊 `);

/** Says these words, and then nothing more. */
const hanging = (said: readonly string[]) =>
  Stream.concat(Stream.fromIterable(eventsOf(said).slice(0, -1)), Stream.never);

const wordsOfPart = 8;

/** Part by part: each waits for the test. */
const parts = Array.from({ length: words.length / wordsOfPart }, () => Promise.withResolvers<void>());
const inParts = Stream.fromIterable(eventsOf(words)).pipe(
  Stream.tap((event) => {
    const isFirst = event.type === "chunk" && event.outputTokens % wordsOfPart === 1 && event.outputTokens > 1;
    return isFirst ? Effect.promise(async () => parts[(event.outputTokens - 1) / wordsOfPart]?.promise) : Effect.void;
  }),
);

const textOf = (events: readonly JobStreamEvent[]): string =>
  events.map((event) => (event.type === "chunk" ? event.text : "")).join("");

const typesOf = (events: readonly JobStreamEvent[]): readonly string[] => [...new Set(events.map(({ type }) => type))];

describe("client.jobs.stream", () => {
  let server: TestServer;
  let client: NodeClient;
  beforeAll(async () => {
    server = await startTestServer({
      stream: (task) => {
        if (promptOf(task) === "hang") return hanging(words.slice(0, 3));
        if (promptOf(task) === "fail") return Stream.fail(new ModelNotFound({ model: "m", nearest: [] }));
        if (promptOf(task) === "tell in parts") return inParts;
        return Stream.fromIterable(eventsOf(words));
      },
    });
    client = createMlxdClient({ baseUrl: server.url });
  });
  afterAll(async () => {
    client.close();
    await server.close();
  });

  it("gives the events of a stream, and its result, over connections that are cut again and again", async () => {
    const proxy = await startCuttingProxy(server.port);
    using cut = createMlxdClient({ baseUrl: proxy.url });
    const stream = cut.jobs.stream({ prompt: "tell in parts" }, { tokenIds: true });
    const events: JobStreamEvent[] = [];
    for await (const event of stream) {
      events.push(event);
      if (event.type !== "chunk" || event.outputTokens % wordsOfPart > 0) continue;
      proxy.lead(server.port);
      parts[event.outputTokens / wordsOfPart]?.resolve(); // what follows needs another connection
    }
    proxy.close();
    assert.deepEqual(typesOf(events), ["started", "chunk", "finished"]);
    assert.equal(textOf(events), words.join(""));
    const { generationId: _, ...result } = await stream.collect();
    const { generationId: __, ...expected } = await client.generate({ prompt: "tell" }, { tokenIds: true });
    assert.deepEqual(result, { ...expected, parameters: result.parameters });
  });

  it("fails as the generation does, with the caller's names of options", async () => {
    const missing = await mlxdErrorOf(client.jobs.stream({ prompt: "fail" }).collect());
    assert.equal(missing.reason, "MODEL_NOT_FOUND");
    const refused = await mlxdErrorOf(client.jobs.stream({ prompt: "tell" }, { topP: 7 }).collect());
    assert.deepEqual([refused.reason, refused.violations[0]?.field], ["INVALID_FIELD", "topP"]);
  });

  it("refuses options that cannot be sent before anything is", () => {
    const refusal = (job: object) => {
      try {
        client.jobs.stream("hi", { job });
        return undefined;
      } catch (error) {
        return error instanceof MlxdError ? error.violations[0]?.field : error;
      }
    };
    assert.equal(refusal({ priority: 0.5 }), "job.priority");
    assert.equal(refusal({ labels: { a: 1 } }), "job.labels.a");
    assert.equal(refusal({ retentionMs: -1 }), "job.retentionMs");
    assert.equal(refusal({ requestId: 7 }), "job.requestId");
    assert.equal(refusal({ maxParallel: 2 }), "job.maxParallel");
    assert.equal(refusal([]), "job");
  });

  const stateOf = async (jobId: string | undefined) => (await client.jobs.get(jobId ?? "")).state;

  it("cancels its job when it is left, by break and by a signal", async () => {
    const left = client.jobs.stream({ prompt: "hang" });
    for await (const { type } of left) if (type === "chunk") break;
    await until(async () => (await stateOf(left.jobId)) === "cancelled");
    const controller = new AbortController();
    const aborted = client.jobs.stream({ prompt: "hang" }, { signal: controller.signal });
    const error = await mlxdErrorOf(
      (async () => {
        for await (const { type } of aborted) if (type === "chunk") controller.abort();
      })(),
    );
    assert.equal(error.reason, "CANCELLED");
    await until(async () => (await stateOf(aborted.jobId)) === "cancelled");
  });

  it("leaves a job with a request id running, and reads it again from its beginning", async () => {
    const options = { job: { requestId: "a story" }, temperature: 0 };
    const first = client.jobs.stream({ prompt: "tell" }, options);
    for await (const { type } of first) if (type === "chunk") break;
    const second = client.jobs.stream({ prompt: "tell" }, options);
    const events = await collect(second);
    assert.equal(second.jobId, first.jobId);
    assert.equal(textOf(events), words.join(""));
    assert.equal(await stateOf(first.jobId), "completed");
    const other = client.jobs.stream({ prompt: "another" }, options);
    assert.equal((await mlxdErrorOf(other.collect())).reason, "JOB_CONFLICT");
  });

  it("tells that its job was cancelled by another caller", async () => {
    const stream = client.jobs.stream({ prompt: "hang" });
    const error = await mlxdErrorOf(
      (async () => {
        for await (const { type } of stream) if (type === "chunk") await client.jobs.cancel(stream.jobId ?? "");
      })(),
    );
    assert.equal(error.reason, "CANCELLED");
    assert.equal(error.metadata["jobId"], stream.jobId);
  });
});

describe("client.jobs.stream while the service restarts", () => {
  it("continues where it was", async () => {
    const store = await mkdtemp(join(tmpdir(), "mlxd-stream-"));
    const start = (stream: NonNullable<TestServerOptions["stream"]>) => startTestServer({ stream, jobs: { store } });
    let server = await start(() => hanging(words.slice(0, 5)));
    const proxy = await startCuttingProxy(server.port);
    using client = createMlxdClient({ baseUrl: proxy.url });
    const stream = client.jobs.stream({ prompt: "tell" });
    const events: JobStreamEvent[] = [];
    for await (const event of stream) {
      events.push(event);
      if (textOf(events) !== words.slice(0, 5).join("")) continue;
      await server.close();
      server = await start(() => Stream.fromIterable(eventsOf(words)));
      proxy.lead(server.port);
    }
    assert.deepEqual(typesOf(events), ["started", "chunk", "finished"]);
    assert.equal(textOf(events), words.join(""));
    const { text, usage } = await stream.collect();
    assert.equal(text, words.join(""));
    assert.equal(usage.outputTokens, words.length);
    proxy.close();
    await server.close();
    await rm(store, { recursive: true });
  });
});

type WatchEvent = NonNullable<MessageInitShape<typeof WatchJobResponseSchema>["event"]>;

describe("client.jobs.stream of a scripted service", () => {
  const completed: WatchEvent = { case: "item", value: { state: JobState.COMPLETED } };
  const saidBy = (...texts: string[]) => saying(...texts).map((value): WatchEvent => ({ case: "generation", value }));
  const generation = saidBy("a");

  /** The stream of these events, numbered from 1 unless they say otherwise. */
  const streamOf = (
    events: readonly WatchEvent[],
    numberOf = (index: number) => index + 1,
    end: () => void = () => {},
  ) => {
    const transport = createRouterTransport(({ service }) =>
      service(JobService, {
        createJob: () => ({ job: { jobId: "j" } }),
        async *watchJob() {
          for (const [index, event] of events.entries()) yield { sequence: numberOf(index), event };
          end();
        },
        async *streamJobResults() {},
      }),
    );
    const { caller } = createParts(transport, { retry: false }, () => {});
    return createJobsClient(caller, transport).stream("hi");
  };

  it("passes over what is newer than the client", async () => {
    assert.equal((await streamOf([{ case: undefined }, ...generation, completed]).collect()).text, "a");
  });

  it("tells that the generation starts again, and forgets what it said before", async () => {
    const restarted: WatchEvent = { case: "restarted", value: { attempt: 2 } };
    const stream = streamOf([...saidBy("Once ", "upon ").slice(0, 3), restarted, ...saidBy("Hello"), completed]);
    const types = (await collect(stream)).map(({ type }) => type);
    assert.deepEqual(types, ["started", "chunk", "chunk", "restarted", "started", "chunk", "finished"]);
    assert.equal((await stream.collect()).text, "Hello");
  });

  it("says what had arrived where it fails for good", async () => {
    const refuse = () => {
      throw new ConnectError("the key was revoked", Code.PermissionDenied);
    };
    const error = await mlxdErrorOf(streamOf(generation.slice(0, 2), undefined, refuse).collect());
    assert.deepEqual([error.code, error.progress?.text], ["PERMISSION_DENIED", "a"]);
  });

  it.each<[string, () => Promise<unknown>]>([
    [
      "a gap in the numbers",
      () => streamOf([...generation, completed], (index) => (index < 2 ? index + 1 : index + 2)).collect(),
    ],
    ["an event twice", () => streamOf([...generation, completed], (index) => Math.max(1, index)).collect()],
    ["no last event of the generation", () => streamOf([...generation.slice(0, -1), completed]).collect()],
    ["no outcome", () => streamOf(generation).collect()],
  ])("fails with PROTOCOL for %s", async (_, reading) => {
    assert.equal((await mlxdErrorOf(reading())).reason, "PROTOCOL");
  });
});
