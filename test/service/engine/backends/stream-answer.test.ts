import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { Agent } from "undici";

import { StatusRefused } from "../../../../src/service/engine/backends/problems.ts";
import { streamAnswer } from "../../../../src/service/engine/backends/stream-answer.ts";
import { beginStream, scriptedBackend } from "../../../support/scripted-backend.ts";

const eventsOf = (answer: Parameters<typeof scriptedBackend>[0]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { settings: backend } = yield* scriptedBackend(answer);
      const dispatcher = yield* Effect.acquireRelease(
        Effect.sync(() => new Agent()),
        (agent) => Effect.promise(() => agent.destroy()),
      );
      const events: string[] = [];
      const onData = (data: string) => events.push(data) > 0 && data === "[DONE]";
      const rest = {
        path: "chat/completions",
        body: ["{}"],
        signal: new AbortController().signal,
        onTaken: () => {},
        onData,
      };
      const failure = yield* Effect.promise(() =>
        streamAnswer({ dispatcher, backend, ...rest }).then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      return { events, failure };
    }),
  );

describe("a stream of server-sent events", () => {
  it.live("may have comments, lines of data in a row, CRLF, no space and no last line", () =>
    Effect.gen(function* () {
      const stream = ": keep-alive\r\n\r\ndata:a\r\ndata: b\r\n\r\nevent: x\ndata: c\n\ndata:[DONE]";
      const { events, failure } = yield* eventsOf((response) => void beginStream(response).end(stream));
      assert.isUndefined(failure);
      assert.deepStrictEqual(events, ["a\nb", "c", "[DONE]"]);
    }),
  );

  it.live("ends with its answer, also where the server does not end it", () =>
    Effect.gen(function* () {
      const { events, failure } = yield* eventsOf((response) => void beginStream(response).write("data: [DONE]\n\n"));
      assert.isUndefined(failure);
      assert.deepStrictEqual(events, ["[DONE]"]);
    }),
  );

  it.live("is not waited for where no connection is free in time", () =>
    Effect.gen(function* () {
      const { settings } = yield* scriptedBackend((response) => void beginStream(response).write("data: a\n\n"));
      const backend = { ...settings, connectTimeoutMs: 10, poolTimeoutMs: 300 };
      const dispatcher = yield* Effect.acquireRelease(
        Effect.sync(() => new Agent({ connections: 1, pipelining: 1 })),
        (agent) => Effect.promise(() => agent.destroy()),
      );
      const left = new AbortController();
      const chat = (signal: AbortSignal, onTaken: () => void) =>
        streamAnswer({
          dispatcher,
          backend,
          path: "chat/completions",
          body: ["{}"],
          signal,
          onTaken,
          onData: () => false,
        });
      const taken = Promise.withResolvers<void>();
      const running = chat(left.signal, taken.resolve).catch(() => {});
      yield* Effect.promise(() => taken.promise);
      const failure = yield* Effect.promise(() =>
        chat(new AbortController().signal, () => {}).then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      assert.deepInclude(failure, { code: "MLXD_POOL_TIMEOUT" });
      left.abort();
      yield* Effect.promise(() => running);
    }),
  );

  it.live("is UTF-8", () =>
    Effect.gen(function* () {
      const { failure } = yield* eventsOf((response) => {
        beginStream(response).end(Buffer.from([0x64, 0x61, 0x74, 0x61, 0x3a, 0xff, 0x0a, 0x0a]));
      });
      assert.match(String(failure), /it is not UTF-8/);
    }),
  );

  it.live.each([
    ["seconds", { "retry-after": "2" }, 2000],
    ["milliseconds", { "retry-after-ms": "150", "retry-after": "2" }, 150],
    ["too many seconds", { "retry-after": "999999" }, 3_600_000],
    ["nonsense", { "retry-after": "soon" }, undefined],
  ] as const)("is refused with a delay in %s", ([, headers, retryAfterMs]) =>
    Effect.gen(function* () {
      const { failure } = yield* eventsOf((response) => void response.writeHead(429, headers).end("busy"));
      assert.instanceOf(failure, StatusRefused);
      assert.deepInclude(failure, { status: 429, retryAfterMs, body: "busy" });
    }),
  );
});
