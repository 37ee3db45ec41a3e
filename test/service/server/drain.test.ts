import { once } from "node:events";
import { connect } from "node:http2";
import { connect as connectTcp } from "node:net";
import { Code, createClient } from "@connectrpc/connect";
import { Deferred, Effect, Stream } from "effect";
import { assert, describe, it } from "vitest";

import { Health as HealthRpc } from "../../../src/client/gen/grpc/health/v1/health_pb.ts";
import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { ModelService } from "../../../src/client/gen/mlxd/v1/model_service_pb.ts";
import { Drain } from "../../../src/service/server/Drain.ts";
import { collect } from "../../support/collect.ts";
import { EventLog } from "../../support/event-log.ts";
import { transports } from "../../support/rpc-transports.ts";
import { chunk, finished, started } from "../../support/scripted-generations.ts";
import { startTestServer, type TestServer } from "../../support/test-server.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { detailsOf, errorOf } from "../../support/wire-error.ts";

const task = { input: { case: "prompt", value: "x" } } as const;

const begin = (server: TestServer) => server.runtime.runPromise(Effect.flatMap(Drain, (drain) => drain.begin));

/** Streams a chunk, and the rest once the gate is open. */
const gated = (log: EventLog, gate: Deferred.Deferred<void>) => () =>
  Stream.make(started, chunk("a", 1)).pipe(
    Stream.concat(
      Stream.fromEffectDrain(
        Effect.andThen(
          Effect.sync(() => log.add("waiting")),
          Deferred.await(gate),
        ),
      ),
    ),
    Stream.concat(Stream.make(chunk("b", 2), finished(2))),
    Stream.onExit((exit) => Effect.sync(() => log.add(exit._tag))),
  );

describe.each(transports)("over $name", ({ create }) => {
  it("calls that run finish, new ones are refused with when to retry", async () => {
    const log = new EventLog();
    const gate = Deferred.makeUnsafe<void>();
    await using server = await startTestServer({ stream: gated(log, gate) });
    const running = collect(createClient(GenerationService, create(server.url)).streamGenerate({ task }));
    await log.until("waiting");
    const closed = server.close();
    await until(() => server.log.some(({ text }) => text.includes("draining")));
    const late = createClient(ModelService, create(server.url));
    const error = await errorOf(late.listModels({}));
    assert.strictEqual(error.code, Code.Unavailable);
    assertMatches(detailsOf(error), { info: { reason: "DRAINING" }, retry: {} });
    Effect.runSync(Deferred.succeed(gate, undefined));
    const events = await running;
    assert.strictEqual(events.at(-1)?.event.case, "finished");
    await closed;
    assert.deepStrictEqual(log.entries, ["waiting", "Success"]);
  });

  it("streams that do not finish in time are cut, and told so with what they spent", async () => {
    const log = new EventLog();
    await using server = await startTestServer({ stream: gated(log, Deferred.makeUnsafe()), config: { drainMs: 100 } });
    const running = errorOf(collect(createClient(GenerationService, create(server.url)).streamGenerate({ task })));
    await log.until("waiting");
    await server.close();
    const error = await running;
    assert.strictEqual(error.code, Code.Aborted);
    const { info, failure, retry } = detailsOf(error);
    assert.strictEqual(info?.reason, "SHUT_DOWN");
    assertMatches(failure, { usage: { outputTokens: 1 }, lastSequence: 1 });
    // What is retried by itself must not have delivered anything.
    assert.isUndefined(retry);
    assert.deepStrictEqual(log.entries, ["waiting", "Failure"]);
    assert.isTrue(server.log.some(({ text }) => text.includes("are cut")));
  });

  it("calls of which nothing was sent when they are cut may be repeated elsewhere", async () => {
    const log = new EventLog();
    const never = () =>
      Stream.fromEffectDrain(
        Effect.andThen(
          Effect.sync(() => log.add("waiting")),
          Effect.never,
        ),
      ).pipe(Stream.concat(Stream.make(started)));
    await using server = await startTestServer({ stream: never, config: { drainMs: 100 } });
    const running = errorOf(collect(createClient(GenerationService, create(server.url)).streamGenerate({ task })));
    await log.until("waiting");
    await server.close();
    const error = await running;
    assert.strictEqual(error.code, Code.Unavailable);
    assertMatches(detailsOf(error), { info: { reason: "DRAINING" }, retry: {} });
  });
});

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};

it("idle connections, silent ones and watches do not hold the end up", async () => {
  const server = await startTestServer({ config: { drainMs: 60_000 } });
  const silent = connectTcp(server.port, "127.0.0.1").on("error", () => {});
  const idle = connect(server.url).on("error", () => {});
  await Promise.all([once(silent, "connect"), once(idle, "connect")]);
  const watchers = transports.map(({ create }) =>
    errorOf(collect(createClient(HealthRpc, create(server.url)).watch({ service: "" }))),
  );
  const clients = transports.map(({ create }) => createClient(ModelService, create(server.url)));
  await Promise.all(clients.map((client) => client.listModels({})));
  const ends = Promise.all([
    new Promise((resolve) => silent.once("close", resolve)),
    new Promise((resolve) => idle.once("close", resolve)),
  ]);
  await server.close();
  await ends;
  for (const error of await Promise.all(watchers)) assert.strictEqual(error.code, Code.Unavailable);
});

it("HTTP/2 peers are told to go away while their calls finish", async () => {
  const log = new EventLog();
  const gate = Deferred.makeUnsafe<void>();
  const server = await startTestServer({ stream: gated(log, gate) });
  const session = connect(server.url);
  const goaway = once(session, "goaway");
  const headers = {
    ":method": "POST",
    ":path": "/mlxd.v1.GenerationService/StreamGenerate",
    "content-type": "application/grpc+json",
    te: "trailers",
  };
  const call = session.request(headers);
  const body = Buffer.from('{"task":{"prompt":"x"}}');
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  call.end(Buffer.concat([head, body]));
  await log.until("waiting");
  const trailers = once(call.resume(), "trailers");
  const closed = server.close();
  assert.strictEqual((await goaway)[0], 0);
  Effect.runSync(Deferred.succeed(gate, undefined));
  const [{ "grpc-status": status }] = (await trailers) as [Record<string, string>];
  assert.strictEqual(status, "0");
  await closed;
});

it("can begin before the server ends, and only once", async () => {
  await using server = await startTestServer();
  await begin(server);
  await begin(server);
  const begun = server.runtime.runPromise(Effect.flatMap(Drain, (drain) => drain.begun));
  await begun;
  assert.strictEqual(server.log.filter(({ text }) => text.includes("draining")).length, 1);
});
