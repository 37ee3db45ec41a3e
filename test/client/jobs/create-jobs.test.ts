/** `client.jobs` against the real server, over connections that are cut again and again. */
import { Effect, Stream } from "effect";
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { type BatchItem, createMlxdClient, MlxdError } from "../../../src/client/node.ts";
import { collect } from "../../support/collect.ts";
import { type CuttingProxy, startCuttingProxy } from "../../support/cutting-proxy.ts";
import { mlxdErrorOf } from "../../support/error-of.ts";
import { eventsOf, promptOf } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";

let connections = 0;
/** Bytes of a connection: a few more than the head of an answer, other ones each time. */
const aFewMore = () => 500 + ((connections++ * 251) % 700);

/** Only what hangs takes as long. */
describe("client.jobs", { timeout: 600_000 }, () => {
  let server: TestServer;
  let cutter: CuttingProxy;
  let client: ReturnType<typeof createMlxdClient>;
  let cut: ReturnType<typeof createMlxdClient>;
  beforeAll(async () => {
    const words = Array.from({ length: 80 }, (_, index) => `word ${index} 🦊 `);
    server = await startTestServer({
      stream: (task) =>
        promptOf(task) === "tell"
          ? Stream.fromIterable(eventsOf(words)).pipe(Stream.tap(() => Effect.sleep(5)))
          : Stream.fromIterable(eventsOf(["You said: ", promptOf(task)])),
    });
    cutter = await startCuttingProxy(server.port, aFewMore);
    client = createMlxdClient({ baseUrl: server.url });
    cut = createMlxdClient({ baseUrl: cutter.url });
  });
  afterAll(async () => {
    client.close();
    cut.close();
    cutter.close();
    await server.close();
  });

  const tasks = (count: number): BatchItem[] =>
    Array.from({ length: count }, (_, index) => ({ itemId: `q${index}`, input: { prompt: `question ${index}` } }));

  it.each(["index", "finished"] as const)(
    "reads every result once over cut connections, in the order %s",
    async (order) => {
      const { jobId } = await client.jobs.create(tasks(40));
      const whole = await collect(client.jobs.results(jobId, { order }));
      assert.lengthOf(whole, 40);
      const before = cutter.cuts();
      assert.deepEqual(await collect(cut.jobs.results(jobId, { order })), whole);
      assert.isAbove(cutter.cuts() - before, 2);
    },
  );

  it("watches a generation over cut connections: nothing twice, nothing lost, and its text is the result's", async () => {
    const { jobId } = await client.jobs.create([{ input: { prompt: "tell" } }]);
    const before = cutter.cuts();
    const events = await collect(cut.jobs.watch(jobId));
    assert.isAbove(cutter.cuts() - before, 2);
    assert.deepEqual(
      events.map(({ sequence }) => sequence),
      events.map((_, index) => index + 1),
    );
    const text = events.map((event) =>
      event.type === "generation" && event.event.type === "chunk" ? event.event.text : "",
    );
    const [first] = await collect(client.jobs.results(jobId));
    assert.strictEqual(text.join(""), first?.result?.text);
    for (const { sequence } of events) {
      assert.deepEqual(await collect(client.jobs.watch(jobId, { after: sequence })), events.slice(sequence));
    }
  });

  it("hears what cannot be read on: a job that is not there, and a place that it has not come to", async () => {
    const { jobId } = await client.jobs.create(tasks(2));
    assert.lengthOf(await collect(client.jobs.results(jobId)), 2);
    const reading = (stream: AsyncIterable<unknown>) => mlxdErrorOf(collect(stream));
    assert.strictEqual((await reading(cut.jobs.watch(jobId, { after: 1000 }))).reason, "SEQUENCE_OUT_OF_RANGE");
    assert.strictEqual((await reading(cut.jobs.results("no-job"))).reason, "JOB_NOT_FOUND");
    assert.strictEqual((await reading(cut.jobs.watch("no-job"))).reason, "JOB_NOT_FOUND");
  });

  it.each<[string, (options: object) => unknown]>([
    ["list", (options) => client.jobs.list(options)],
    ["items", (options) => client.jobs.items("a job", options)],
    ["results", (options) => client.jobs.results("a job", options)],
    ["watch", (options) => client.jobs.watch("a job", options)],
    ["stream", (options) => client.jobs.stream("hi", options)],
  ])("refuses the options of a call at once, before %s is read", (_, read) => {
    for (const options of [{ headers: { "not a name": "a" } }, { timeoutMs: -1 }, { signal: {} }, { retries: 3 }]) {
      assert.throws(() => read(options), MlxdError);
    }
  });

  it("stops reading when it is left, by break and by a signal", async () => {
    const left = new AbortController();
    const { jobId } = await client.jobs.create(tasks(1).concat({ input: { prompt: "tell" } }));
    for await (const { index } of client.jobs.results(jobId)) {
      assert.strictEqual(index, 0);
      break;
    }
    left.abort();
    assert.strictEqual(
      (await mlxdErrorOf(collect(client.jobs.watch(jobId, { signal: left.signal })))).reason,
      "CANCELLED",
    );
  });
});
