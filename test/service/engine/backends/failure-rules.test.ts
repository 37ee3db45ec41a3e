/** What becomes of a task on another server, by each form of API that servers speak: docs/backends.md has the rules. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, type Scope } from "effect";

import type { BackendSettings } from "../../../../src/service/config/read-backends.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../../../../src/service/engine/Engine.ts";
import { backendDrivers } from "../../../../src/service/engine/backends/backend-drivers.ts";
import { beginStream, key, scriptedBackend, type WireForm, wireForms } from "../../../support/scripted-backend.ts";
import { servedModel } from "../../../support/served-model.ts";
import { chat, message } from "../../../support/tasks.ts";

const question = chat(message("user", "2+2?"));

describe.each(Object.entries<WireForm>(wireForms))("a model of %s", (name, wire) => {
  const engine = name as keyof typeof wireForms;
  const model = servedModel({ id: "demo", source: "org/demo", engine });
  const request: ConversationRequest = {
    id: "a",
    input: question.type === "chat" ? question : assert.fail(),
    parameters: { ...model.defaults, seed: 7, minOutputTokens: 0, stopTokenIds: [] },
    reasoning: {},
    constraint: undefined,
    topLogprobs: undefined,
    asked: new Set(),
    promptCount: { tokens: 5, estimated: true },
    timeBudgetMs: undefined,
    scheduling: { turn: 0, fairnessId: "" },
  };
  const start = (settings: BackendSettings): Effect.Effect<ConversationEngine, unknown, Scope.Scope> => {
    const driver = backendDrivers()[engine];
    // Drivers that start servers are also told whom to tell of their stages.
    const given: ReadonlyArray<unknown> = [model, { ...settings, engine }, () => Effect.void];
    return driver.start(...(given as Parameters<typeof driver.start>));
  };
  const ask = (loaded: ConversationEngine) => {
    const events: EngineEvent[] = [];
    return Effect.map(Effect.result(loaded.converse(request, (event) => void events.push(event))), (result) => ({
      error: result._tag === "Failure" ? result.failure : undefined,
      events,
      text: events.map((event) => (event.type === "output" ? event.text : "")).join(""),
    }));
  };
  const asked = (answer: Parameters<typeof scriptedBackend>[0], settings: Partial<BackendSettings> = {}) =>
    Effect.scoped(
      Effect.gen(function* () {
        const backend = yield* scriptedBackend(answer, { ...settings, engine });
        const { error, ...rest } = yield* ask(yield* start(backend.settings));
        assert.notInclude(JSON.stringify(error ?? {}) + (error?.message ?? ""), key);
        return { error, ...rest };
      }),
    );

  it.live("answers, with the counts that the server tells", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void beginStream(response).end(wire.whole), { engine });
      const { error, text, events } = yield* ask(yield* start(backend.settings));
      assert.isUndefined(error);
      assert.strictEqual(text, "Four.");
      assert.strictEqual(events[0]?.type, "admitted");
      assert.deepInclude(events.at(-1), {
        type: "finished",
        reason: "end-of-sequence",
        cachedPromptTokens: 4,
        usage: { promptTokens: 11, outputTokens: 3, reasoningTokens: 0, estimated: false },
      });
      const [received] = backend.requests;
      const [header, value] = wire.keyHeader;
      assert.strictEqual(received?.path, wire.path);
      assert.strictEqual(received?.headers[header], value);
      assert.deepInclude(received?.body, { model: "org/demo", stream: true, max_tokens: 64 });
    }),
  );

  it.live("answers where the stream comes a byte at a time, with comments and CRLF", () =>
    Effect.gen(function* () {
      const stream = Buffer.from(`: hello\r\n\r\n${wire.whole.replaceAll("Fo", "한 Fo").replaceAll("\n", "\r\n")}`);
      const { text } = yield* asked(async (response) => {
        beginStream(response);
        for (const byte of stream) {
          response.write(Uint8Array.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
      });
      assert.strictEqual(text, "한 Four.");
    }),
  );

  it.live.each([
    [400, { message: `no ${key}` }, "BackendRefused", { status: 400, words: "no <key>" }],
    [401, { message: `wrong key ${key}` }, "BackendCredentials", { status: 401, backend: "attic" }],
    [403, {}, "BackendCredentials", { status: 403 }],
    [404, { message: "no such model" }, "ModelNotFound", { model: "org/demo", backend: "attic" }],
    [413, {}, "BackendContextExceeded", {}],
    [400, { message: "This model's maximum context length is 8" }, "BackendContextExceeded", {}],
    [400, { message: "prompt is too long: 9 tokens > 8 maximum" }, "BackendContextExceeded", {}],
    [422, { message: "odd" }, "BackendRefused", { status: 422, words: "odd" }],
    [429, {}, "BackendQuota", { retryAfterMs: 3000 }],
    [500, {}, "BackendUnavailable", { cause: "http_500" }],
    [503, {}, "BackendUnavailable", { cause: "http_503", retryAfterMs: 3000 }],
    [529, {}, "BackendUnavailable", { cause: "http_529" }],
    [302, {}, "BackendProtocol", {}],
  ] as const)("tells of HTTP %s", ([status, body, _tag, fields]) =>
    Effect.gen(function* () {
      const { error, events } = yield* asked((response) => {
        const headers = { "retry-after": "3", location: "/elsewhere" };
        response.writeHead(status, headers).end(JSON.stringify({ type: "error", error: body }));
      });
      assert.deepInclude(error, { _tag, ...fields });
      assert.deepStrictEqual(events, []);
    }),
  );

  it.live("is unavailable where the stream is cut before its first token, and lost after that", () =>
    Effect.gen(function* () {
      const cut = (before: string) =>
        asked((response) => void beginStream(response).write(before, () => response.destroy()));
      assert.deepInclude((yield* cut(": wait\n\n")).error, { _tag: "BackendUnavailable", cause: "connection_lost" });
      assert.deepInclude((yield* cut(wire.piece)).error, { _tag: "EngineLost", how: "died" });
    }),
  );

  it.live("is unavailable where nothing comes in time, and stalled after a token", () =>
    Effect.gen(function* () {
      const hang = (before: string) =>
        asked((response) => void beginStream(response).write(before), { readTimeoutMs: 300 });
      assert.deepInclude((yield* hang(": wait\n\n")).error, { _tag: "BackendUnavailable", cause: "read_timeout" });
      assert.deepInclude((yield* hang(wire.piece)).error, { _tag: "EngineLost", how: "stalled" });
      const silent = yield* asked(() => {}, { readTimeoutMs: 300 });
      assert.deepInclude(silent.error, { _tag: "BackendUnavailable", cause: "read_timeout" });
    }),
  );

  it.live("is unavailable where nobody listens, and where the name is nobody's", () =>
    Effect.gen(function* () {
      const closed = yield* Effect.scoped(
        Effect.map(
          scriptedBackend(() => {}),
          ({ settings }) => settings,
        ),
      );
      const at = (settings: BackendSettings) =>
        Effect.map(
          Effect.flatMap(start(settings), (loaded) => ask(loaded)),
          ({ error }) => error,
        );
      assert.deepInclude(yield* at(closed), { _tag: "BackendUnavailable", cause: "connect_refused" });
      const nowhere = { ...closed, baseUrl: "http://nobody.invalid/v1" };
      assert.deepInclude(yield* at(nowhere), { _tag: "BackendUnavailable", cause: "dns" });
      const untrusted = { ...closed, baseUrl: closed.baseUrl.replace("http:", "https:") };
      assert.deepInclude(yield* at(untrusted), { _tag: "BackendUnavailable" });
    }),
  );

  it.live.each([
    ["a chunk that is no JSON", "data: {\n\n"],
    ["a chunk that is no object", "data: 7\n\n"],
    ["an answer without an end", wire.endless],
    ["nothing", ""],
    ["an event without an end", `data: ${"x".repeat(1024 ** 2 + 1)}`],
    ["an error in the stream that has no name", wire.error("odd", "the GPU is on fire")],
  ] as const)("does not take %s for an answer", ([, stream]) =>
    Effect.gen(function* () {
      const { error } = yield* asked((response) => void beginStream(response).end(stream));
      assert.deepInclude(error, { _tag: "BackendProtocol", backend: "attic" });
    }),
  );

  it.live("tells of an error in the stream as of its status, and of a loss after some output", () =>
    Effect.gen(function* () {
      const says = (stream: string) => asked((response) => void beginStream(response).end(stream));
      const busy = wire.error("rate_limit_error", "slow down");
      assert.deepInclude((yield* says(busy)).error, { _tag: "BackendQuota" });
      const long = wire.error("invalid_request_error", "prompt is too long");
      assert.deepInclude((yield* says(long)).error, { _tag: "BackendContextExceeded" });
      assert.deepInclude((yield* says(wire.piece + busy)).error, { _tag: "EngineLost" });
    }),
  );

  it.live("does not take a page for a stream, and a refusal for a fault", () =>
    Effect.gen(function* () {
      const page = yield* asked((response) => {
        response.writeHead(200, { "content-type": "text/html" }).end("<p>hello");
      });
      assert.deepInclude(page.error, { _tag: "BackendProtocol" });
      assert.include(page.error?.message, "text/html");
      const filtered = yield* asked((response) => void beginStream(response).end(wire.refused));
      assert.isUndefined(filtered.error);
      assert.deepInclude(filtered.events.at(-1), { reason: "content-filter" });
    }),
  );
});
