import { Code, createClient } from "@connectrpc/connect";
import { Effect, Stream } from "effect";
import { describe, expect, it } from "vitest";

import { GenerationService } from "../../../src/client/gen/mlxd/v1/generation_service_pb.ts";
import { DeadlineExceeded } from "../../../src/service/domain/errors.ts";
import { collect } from "../../support/collect.ts";
import { EventLog } from "../../support/event-log.ts";
import { envelope, requestHttp1, requestHttp2 } from "../../support/raw-http.ts";
import { transports } from "../../support/rpc-transports.ts";
import { chunk, eventsOf, promptOf, resultOf, started } from "../../support/scripted-generations.ts";
import { progress } from "../../support/service-errors.ts";
import { startTestServer } from "../../support/test-server.ts";
import { errorOf } from "../../support/wire-error.ts";

const task = { input: { case: "prompt", value: "x" } } as const;

describe.each(transports)("over $name", ({ create }) => {
  it("hands the caller's deadline to the pipeline, whose error is the one that is told", async () => {
    const given: number[] = [];
    await using server = await startTestServer({
      stream: (_task, { deadlineMs }) => {
        given.push(deadlineMs);
        const late = Effect.sleep(deadlineMs).pipe(Effect.andThen(Effect.fail(new DeadlineExceeded({ progress }))));
        return Stream.concat(Stream.make(started, chunk("a", 1)), Stream.fromEffectDrain(late));
      },
    });
    const client = createClient(GenerationService, create(server.url));
    const error = await errorOf(collect(client.streamGenerate({ task }, { timeoutMs: 300 })));
    expect(error.code).toBe(Code.DeadlineExceeded);
    expect(given[0]).toBeGreaterThan(0);
    expect(given[0]).toBeLessThanOrEqual(300);
  });
});

/** Much longer than the deadlines below, and than the time by which the bridge lets a handler be late. */
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
    expect(trailers["grpc-status"]).toBe(String(Code.DeadlineExceeded));
    const bin = Buffer.from(String(trailers["grpc-status-details-bin"]), "base64").toString("latin1");
    expect(bin).toContain("DEADLINE");
    expect(bin).toContain("gen_1");
  });

  it("is answered for in a unary call", async () => {
    await using server = await startDeaf(new EventLog());
    const headers = { "content-type": "application/json", "connect-timeout-ms": "50" };
    const request = { path: path("Generate"), headers, body: '{"task":{"prompt":"x"}}' };
    const { status, body } = await requestHttp1(server.port, request);
    expect(status).toBe(504);
    expect(JSON.parse(body.toString())).toMatchObject({ code: "deadline_exceeded" });
  });
});

describe("an odd deadline", () => {
  const given: number[] = [];
  const start = () => {
    given.length = 0;
    return startTestServer({
      run: (_task, { deadlineMs }) => Effect.sync(() => (given.push(deadlineMs), resultOf(eventsOf(["ok"])))),
      config: { maxDeadlineMs: 3_600_000, defaultDeadlineMs: 600_000 },
    });
  };

  it.each([
    ["600H", 3_600_000],
    ["99999999H", 3_600_000],
    ["99999999S", 3_600_000],
    ["90M", 3_600_000],
    [undefined, 600_000],
  ])("grpc-timeout %s gives the handler at most %d ms", async (timeout, mostMs) => {
    await using server = await start();
    const headers = timeout === undefined ? grpc : { ...grpc, "grpc-timeout": timeout };
    const { headers: head, trailers } = await requestHttp2(server.port, {
      path: path("Generate"),
      headers,
      body: bodyOf("x"),
    });
    expect({ ...head, ...trailers }["grpc-status"]).toBe("0");
    expect(given[0]).toBeLessThanOrEqual(mostMs);
    expect(given[0]).toBeGreaterThan(mostMs - 10_000);
  });

  it.each(["0n", "0S", "1n"])("grpc-timeout %s has passed already, and nothing is started", async (timeout) => {
    await using server = await start();
    const headers = { ...grpc, "grpc-timeout": timeout };
    const { headers: head, trailers } = await requestHttp2(server.port, {
      path: path("Generate"),
      headers,
      body: bodyOf("x"),
    });
    expect({ ...head, ...trailers }["grpc-status"]).toBe(String(Code.DeadlineExceeded));
    expect(given).toEqual([]);
  });

  it("connect-timeout-ms of ten digits is cut, not refused", async () => {
    await using server = await start();
    const headers = { "content-type": "application/json", "connect-timeout-ms": "9999999999" };
    const { status } = await requestHttp1(server.port, {
      path: path("Generate"),
      headers,
      body: '{"task":{"prompt":"x"}}',
    });
    expect(status).toBe(200);
    expect(given[0]).toBeLessThanOrEqual(3_600_000);
  });
});
