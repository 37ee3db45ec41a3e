import { Code, createClient } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { assert, describe, it } from "vitest";

import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { collect } from "../../support/collect.ts";
import { EventLog } from "../../support/event-log.ts";
import { grpc, transports } from "../../support/rpc-transports.ts";
import { chunk, eventsOf, promptOf, started } from "../../support/scripted-generations.ts";
import { startTestServer } from "../../support/test-server.ts";
import { errorOf } from "../../support/wire-error.ts";

const taskOf = (prompt: string) => ({ task: { input: { case: "prompt", value: prompt } } }) as const;

/** Logs that it runs, and whether it was interrupted or came to its end. */
const watched = <A, E>(log: EventLog, stream: Stream.Stream<A, E>): Stream.Stream<A, E> =>
  Stream.unwrap(Effect.sync(() => (log.add("running"), stream))).pipe(
    Stream.onExit((exit) => Effect.sync(() => log.add(exit._tag === "Success" ? "ended" : "interrupted"))),
  );

const start = (log: EventLog) =>
  startTestServer({
    stream: (task) => {
      const stages = {
        queued: Stream.never,
        decoding: Stream.concat(Stream.make(started, chunk("a", 1)), Stream.never),
        complete: Stream.fromIterable(eventsOf(["a"])),
      };
      return watched(log, stages[promptOf(task) as keyof typeof stages]);
    },
    run: () =>
      Effect.sync(() => log.add("running")).pipe(
        Effect.andThen(Effect.never),
        Effect.onInterrupt(() => Effect.sync(() => log.add("interrupted"))),
      ),
  });

describe.each(transports)("over $name", ({ create }) => {
  it("a stream left before its headers stops the generation", async () => {
    const log = new EventLog();
    await using server = await start(log);
    const client = createClient(GenerationService, create(server.url));
    const abort = new AbortController();
    const failed = errorOf(collect(client.streamGenerate(taskOf("queued"), { signal: abort.signal })));
    await log.until("running");
    abort.abort();
    assert.strictEqual((await failed).code, Code.Canceled);
    await log.until("interrupted");
    assert.deepStrictEqual(log.entries, ["running", "interrupted"]);
  });

  it("a stream left between two events stops the generation", async () => {
    const log = new EventLog();
    await using server = await start(log);
    const client = createClient(GenerationService, create(server.url));
    const abort = new AbortController();
    const read = async () => {
      for await (const { event } of client.streamGenerate(taskOf("decoding"), { signal: abort.signal })) {
        if (event.case === "chunk") abort.abort();
      }
    };
    assert.strictEqual((await errorOf(read())).code, Code.Canceled);
    await log.until("interrupted");
    assert.deepStrictEqual(log.entries, ["running", "interrupted"]);
  });

  it("a unary call that is left stops the generation", async () => {
    const log = new EventLog();
    await using server = await start(log);
    const client = createClient(GenerationService, create(server.url));
    const abort = new AbortController();
    const failed = errorOf(client.generate(taskOf("any"), { signal: abort.signal }));
    await log.until("running");
    abort.abort();
    assert.strictEqual((await failed).code, Code.Canceled);
    await log.until("interrupted");
  });

  it("a call that is complete is not interrupted, though its signal fires", async () => {
    const log = new EventLog();
    await using server = await start(log);
    const client = createClient(GenerationService, create(server.url));
    const abort = new AbortController();
    const events = await collect(client.streamGenerate(taskOf("complete"), { signal: abort.signal }));
    abort.abort();
    await log.until("ended");
    await server.close();
    assert.strictEqual(events.at(-1)?.event.case, "finished");
    assert.deepStrictEqual(log.entries, ["running", "ended"]);
  });
});

it("1,500 calls that are cancelled quickly leave their neighbours on the connection alone", async () => {
  const log = new EventLog();
  await using server = await start(log);
  const client = createClient(GenerationService, grpc.create(server.url));
  const neighbour = new AbortController();
  const texts: string[] = [];
  const reading = errorOf(
    (async () => {
      for await (const { event } of client.streamGenerate(taskOf("decoding"), { signal: neighbour.signal })) {
        if (event.case === "chunk") texts.push(event.value.text);
      }
    })(),
  );
  await log.until("running");
  for (let round = 0; round < 15; round++) {
    const calls = Array.from({ length: 100 }, () => {
      const abort = new AbortController();
      const failed = errorOf(collect(client.streamGenerate(taskOf("queued"), { signal: abort.signal })));
      setImmediate(() => abort.abort());
      return failed;
    });
    for (const error of await Promise.all(calls)) assert.strictEqual(error.code, Code.Canceled);
  }
  // The connection still takes calls, and the neighbour still runs.
  assert.strictEqual((await collect(client.streamGenerate(taskOf("complete")))).length, 3);
  assert.deepStrictEqual(texts, ["a"]);
  neighbour.abort();
  assert.strictEqual((await reading).code, Code.Canceled);
  await log.until("interrupted", log.count("running") - 1);
  // Leaving is nothing to be logged.
  assert.deepStrictEqual(server.log, []);
});
