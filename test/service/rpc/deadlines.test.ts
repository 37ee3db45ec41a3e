import { Code, createClient } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { assert, describe, it } from "vitest";

import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { deadlineOf } from "../../../src/service/calls/Calls.ts";
import { takeDeadline } from "../../../src/service/server/deadline-from-headers.ts";
import { collect } from "../../support/collect.ts";
import { EventLog } from "../../support/event-log.ts";
import { envelope, requestHttp1, requestHttp2 } from "../../support/raw-http.ts";
import { transports } from "../../support/rpc-transports.ts";
import { chunk, eventsOf, promptOf, resultOf, started } from "../../support/scripted-generations.ts";
import { startTestServer } from "../../support/test-server.ts";
import { assertMatches } from "../../support/assert-matches.ts";
import { errorOf } from "../../support/wire-error.ts";

const task = { input: { case: "prompt", value: "x" } } as const;

describe.each(transports)("over $name", ({ create }) => {
  it("ends a call at its caller's deadline", async () => {
    const log = new EventLog();
    await using server = await startTestServer({
      stream: () =>
        Stream.concat(Stream.make(started, chunk("a", 1)), Stream.never).pipe(
          Stream.onExit(() => Effect.sync(() => log.add("over"))),
        ),
    });
    const client = createClient(GenerationService, create(server.url));
    const error = await errorOf(collect(client.streamGenerate({ task }, { timeoutMs: 300 })));
    assert.strictEqual(error.code, Code.DeadlineExceeded);
    await log.until("over");
  });
});

/** Much longer than the deadlines below. */
const deafMs = 1000;

/** A server whose handlers cannot be interrupted and know no deadline. */
const startDeaf = (log: EventLog) =>
  startTestServer({
    run: () => Effect.uninterruptible(Effect.sleep(deafMs).pipe(Effect.andThen(Effect.die("too late")))),
    stream: (one) => {
      const deaf = Effect.uninterruptible(Effect.sleep(deafMs)).pipe(
        Effect.onExit(() => Effect.sync(() => log.add("over"))),
      );
      const head = promptOf(one) === "started" ? [started, chunk("a", 1)] : [];
      return Stream.concat(Stream.fromIterable(head), Stream.fromEffectDrain(deaf));
    },
  });

const path = (method: string) => `/mlxd.v1.GenerationService/${method}`;
const bodyOf = (prompt: string) => envelope(Buffer.from(JSON.stringify({ task: { prompt } })));
const grpc = { "content-type": "application/grpc+json", te: "trailers" };

describe("a handler that ignores its deadline", () => {
  it("is answered for, on time and with what is known", async () => {
    await using server = await startDeaf(new EventLog());
    const request = {
      path: path("StreamGenerate"),
      body: bodyOf("started"),
      headers: { ...grpc, "grpc-timeout": "50m" },
    };
    const { trailers } = await requestHttp2(server.port, request);
    assert.strictEqual(trailers["grpc-status"], String(Code.DeadlineExceeded));
    const bin = Buffer.from(String(trailers["grpc-status-details-bin"]), "base64").toString("latin1");
    assert.include(bin, "DEADLINE");
    assert.include(bin, "gen_1");
  });

  it("is answered for in a unary call", async () => {
    await using server = await startDeaf(new EventLog());
    const headers = { "content-type": "application/json", "connect-timeout-ms": "50" };
    const request = { path: path("Generate"), headers, body: '{"task":{"prompt":"x"}}' };
    const { status, body } = await requestHttp1(server.port, request);
    assert.strictEqual(status, 504);
    assertMatches(JSON.parse(body.toString()), { code: "deadline_exceeded" });
  });
});

describe("an odd deadline", () => {
  const config = { maxDeadlineMs: 3_600_000, defaultDeadlineMs: 600_000 };
  const given = (headers: Record<string, string>) => deadlineOf(takeDeadline(headers, 1000), config, false, 1000);

  it.each([
    ["600H", 3_600_000],
    ["99999999H", 3_600_000],
    ["99999999S", 3_600_000],
    ["90M", 3_600_000],
    ["1500m", 1500],
  ])("grpc-timeout %s gives a call %d ms", (timeout, ms) => {
    assert.strictEqual(given({ ...grpc, "grpc-timeout": timeout }), ms);
  });

  it("connect-timeout-ms of ten digits is cut, not refused", async () => {
    await using server = await startTestServer({ config });
    const headers = { "content-type": "application/json", "connect-timeout-ms": "9999999999" };
    const request = { path: path("Generate"), headers, body: '{"task":{"prompt":"x"}}' };
    assert.strictEqual((await requestHttp1(server.port, request)).status, 200);
    assert.strictEqual(given(headers), 3_600_000);
  });

  it("that is none is the service's own, and a stream without end has none", () => {
    assert.strictEqual(given(grpc), 600_000);
    const endless = { receivedAt: 1000, timeoutMs: undefined };
    assert.strictEqual(deadlineOf(endless, config, true, 1000), Infinity);
    assert.strictEqual(deadlineOf({ ...endless, timeoutMs: 50 }, config, true, 1010), 40);
  });

  it.each(["0n", "0S", "1n"])("grpc-timeout %s has passed already, and nothing is started", async (timeout) => {
    let begun = 0;
    await using server = await startTestServer({
      run: () => Effect.sync(() => ((begun += 1), resultOf(eventsOf(["ok"])))),
    });
    const headers = { ...grpc, "grpc-timeout": timeout };
    const request = { path: path("Generate"), headers, body: bodyOf("x") };
    const { headers: head, trailers } = await requestHttp2(server.port, request);
    assert.strictEqual({ ...head, ...trailers }["grpc-status"], String(Code.DeadlineExceeded));
    assert.strictEqual(begun, 0);
  });
});
