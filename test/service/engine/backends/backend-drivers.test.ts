/** How models of backends run; what becomes of a task there has tests of its own (failure-rules.test.ts). */
import { type AddressInfo, createServer, type Server } from "node:net";
import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, type Scope, Stream } from "effect";
import { TestClock } from "effect/testing";

import type { BackendSettings } from "../../../../src/service/config/read-backends.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../../../../src/service/engine/Engine.ts";
import { backendDrivers } from "../../../../src/service/engine/backends/backend-drivers.ts";
import { png } from "../../../support/images.ts";
import { beginStream, chunk, four, scriptedBackend, wireForms } from "../../../support/scripted-backend.ts";
import { servedModel } from "../../../support/served-model.ts";
import { chat, message } from "../../../support/tasks.ts";

const model = servedModel({ id: "demo", source: "org/demo", engine: "vllm" });

const question = chat(message("user", "2+2?"));
const requestOf = (id: string, turn = 0): ConversationRequest => ({
  id,
  input: question.type === "chat" ? question : assert.fail(),
  parameters: { ...model.defaults, seed: 7, minOutputTokens: 0, stopTokenIds: [] },
  reasoning: {},
  constraint: undefined,
  topLogprobs: undefined,
  asked: new Set(),
  promptCount: { tokens: 5, estimated: true },
  timeBudgetMs: undefined,
  scheduling: { turn, fairnessId: "" },
});

const start = (settings: BackendSettings): Effect.Effect<ConversationEngine, unknown, Scope.Scope> =>
  backendDrivers().vllm.start(model, settings, () => Effect.void);

const ask = (engine: ConversationEngine, request = requestOf("a")) => {
  const events: EngineEvent[] = [];
  return Effect.map(Effect.result(engine.converse(request, (event) => void events.push(event))), (result) => ({
    result,
    events,
    text: events.map((event) => (event.type === "output" ? event.text : "")).join(""),
  }));
};

describe("a model of a backend", () => {
  it.live("is asked with the options of the task, over connections that are used again", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void beginStream(response).end(four));
      const engine = yield* start(backend.settings);
      for (let count = 0; count < 5; count++) assert.strictEqual((yield* ask(engine)).text, "Four.");
      assert.lengthOf(backend.requests, 5);
      const [request] = backend.requests;
      assert.deepInclude(request?.body, { model: "org/demo", stream: true, max_tokens: 64, seed: 7 });
      assert.isAtMost(backend.connections().made, 2);
    }),
  );

  it.live("gets the images of a conversation in their places", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void beginStream(response).end(four));
      const engine = yield* start(backend.settings);
      const large = new Uint8Array(200_000).fill(7);
      large.set(png);
      const image = (data: Uint8Array<ArrayBuffer>) => ({ type: "image", source: { data }, mediaType: "" }) as const;
      const { input, ...rest } = requestOf("a");
      const [first] = input.type === "chat" ? input.messages : [];
      const said = first ?? assert.fail();
      const content = [image(large), { type: "text", text: "één €" } as const, image(png)];
      const messages = [
        { ...said, content },
        { ...said, content: [image(png)] },
      ];
      yield* ask(engine, { ...rest, input: input.type === "chat" ? { ...input, messages } : assert.fail() });
      const part = (data: Uint8Array) => ({
        type: "image_url",
        image_url: { url: `data:image/png;base64,${Buffer.from(data).toString("base64")}` },
      });
      assert.deepStrictEqual(backend.requests[0]?.body["messages"], [
        { role: "user", content: [part(large), { type: "text", text: "één €" }, part(png)] },
        { role: "user", content: [part(png)] },
      ]);
    }),
  );

  it.live("continues a prompt as it stands, and tells the logprobs that were asked for", () =>
    Effect.gen(function* () {
      const piece = (text: string, finish_reason: string | null, logprobs: object | null) =>
        `data: ${JSON.stringify({ choices: [{ text, finish_reason, logprobs }] })}\n\n`;
      const logprobs = { tokens: [" upon"], token_logprobs: [-0.5], top_logprobs: [{ " upon": -0.5 }] };
      const backend = yield* scriptedBackend(
        (response) =>
          void beginStream(response).end(`${piece(" upon", null, logprobs)}${piece("", "stop", null)}data: [DONE]\n\n`),
      );
      const engine = yield* start(backend.settings);
      const input = { type: "prompt", text: "Once" } as const;
      const { text, events } = yield* ask(engine, { ...requestOf("a"), input, topLogprobs: 1 });
      assert.strictEqual(text, " upon");
      const [told] = events.flatMap((event) => (event.type === "output" ? event.logprobs : []));
      assert.deepInclude(told, { text: " upon", logprob: -0.5 });
      const [received] = backend.requests;
      assert.strictEqual(received?.path, "/v1/completions");
      assert.deepInclude(received?.body, { prompt: "Once", logprobs: 1, stream: true });
      assert.notProperty(received?.body, "messages");
    }),
  );

  it.live("does not do without logprobs where the server takes the option and tells none", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void beginStream(response).end(four));
      const engine = yield* start(backend.settings);
      const { result, text } = yield* ask(engine, {
        ...requestOf("a"),
        topLogprobs: 0,
        asked: new Set(["output.top_logprobs"]),
      });
      assert.strictEqual(text, "");
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, {
        _tag: "UnsupportedParameter",
        field: "task.output.top_logprobs",
      });
    }),
  );

  it.live(
    "learns what its model refuses: defaults are left out from then on, and what a task asks for is refused",
    () =>
      Effect.gen(function* () {
        const message = "Unsupported value: 'temperature'. Only the default (1) value is supported.";
        const error = { message, param: "temperature", code: "unsupported_value" };
        const backend = yield* scriptedBackend((response, { body }) => {
          if (body["temperature"] === undefined) beginStream(response).end(four);
          else response.writeHead(400).end(JSON.stringify({ error }));
        });
        const engine = yield* start(backend.settings);
        const first = yield* ask(engine);
        assert.strictEqual(first.text, "Four.");
        const [admitted] = first.events;
        assert.strictEqual(admitted?.type === "admitted" && admitted.parameters?.temperature, 1);
        assert.lengthOf(backend.requests, 2);
        assert.strictEqual((yield* ask(engine)).text, "Four.");
        assert.lengthOf(backend.requests, 3);
        assert.deepStrictEqual([...(engine.unsupported?.() ?? [])], ["sampling.temperature"]);
        const { result } = yield* ask(engine, { ...requestOf("b"), asked: new Set(["sampling.temperature"]) });
        const failure = { _tag: "UnsupportedParameter", field: "task.sampling.temperature" };
        assert.deepInclude(result._tag === "Failure" ? result.failure : {}, failure);
        assert.lengthOf(backend.requests, 3);
      }),
  );

  it.live("is sent each of several tasks again whose default it refuses at the same time", () =>
    Effect.gen(function* () {
      const both = yield* Deferred.make<void>();
      const error = { message: "Unsupported parameter: temperature" };
      let refused = 0;
      const backend = yield* scriptedBackend(
        async (response, { body }) => {
          if (body["temperature"] === undefined) return void beginStream(response).end(four);
          refused += 1;
          if (refused === 2) Deferred.doneUnsafe(both, Effect.void);
          await Effect.runPromise(Deferred.await(both));
          response.writeHead(400).end(JSON.stringify({ error }));
        },
        { permits: 2 },
      );
      const engine = yield* start(backend.settings);
      const answers = yield* Effect.all([ask(engine, requestOf("a")), ask(engine, requestOf("b"))], {
        concurrency: "unbounded",
      });
      assert.deepStrictEqual(
        answers.map(({ text }) => text),
        ["Four.", "Four."],
      );
    }),
  );

  it.live("is not sent a task without an option that it sets, although it was refused while the task waited", () =>
    Effect.gen(function* () {
      const waiting = yield* Deferred.make<void>();
      const error = { message: "Unsupported parameter: temperature" };
      const backend = yield* scriptedBackend(async (response, { body }) => {
        await Effect.runPromise(Deferred.await(waiting));
        if (body["temperature"] === undefined) beginStream(response).end(four);
        else response.writeHead(400).end(JSON.stringify({ error }));
      });
      const engine = yield* start(backend.settings);
      const first = yield* Effect.forkChild(ask(engine), { startImmediately: true });
      const second = yield* Effect.forkChild(
        ask(engine, { ...requestOf("b", 1), asked: new Set(["sampling.temperature"]) }),
        { startImmediately: true },
      );
      Deferred.doneUnsafe(waiting, Effect.void);
      assert.strictEqual((yield* Fiber.join(first)).text, "Four.");
      const { result, text } = yield* Fiber.join(second);
      assert.strictEqual(text, "");
      const failure = { _tag: "UnsupportedParameter", field: "task.sampling.temperature" };
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, failure);
    }),
  );

  it.live("refuses an option that its task sets with the server's words", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => {
        response.writeHead(400).end(JSON.stringify({ error: { message: "demo does not support tools" } }));
      });
      const engine = yield* start(backend.settings);
      const { input, ...rest } = requestOf("a");
      const tools = [{ name: "add", description: "", parameters: undefined }];
      const { result } = yield* ask(engine, {
        ...rest,
        input: input.type === "chat" ? { ...input, tools } : assert.fail(),
        asked: new Set(["chat.tools"]),
      });
      const failure = result._tag === "Failure" ? result.failure : assert.fail();
      assert.deepInclude(failure, { _tag: "UnsupportedParameter", field: "task.chat.tools" });
      assert.include(failure.message, "demo does not support tools");
      assert.lengthOf(backend.requests, 1);
    }),
  );

  it.live("leaves out the defaults of sampling where it thinks, tells so, and refuses those that the task sets", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void beginStream(response).end(wireForms.anthropic.whole), {
        engine: "anthropic",
      });
      const claude = servedModel({ id: "demo", source: "org/demo", engine: "anthropic" });
      const engine = yield* backendDrivers().anthropic.start(claude, backend.settings, () => Effect.void);
      const thinking = { ...requestOf("a"), reasoning: { maxTokens: 2_048 } };
      const sampling = { temperature: 0.5, topP: 0.9, topK: 5 };
      const request = { ...thinking, parameters: { ...thinking.parameters, ...sampling } };
      const { text, events } = yield* ask(engine, request);
      assert.strictEqual(text, "Four.");
      const [admitted] = events;
      const told = admitted?.type === "admitted" ? admitted.parameters : undefined;
      assert.deepInclude(told, { temperature: 1, topP: 1, topK: undefined });
      for (const name of ["temperature", "top_p", "top_k"]) assert.notProperty(backend.requests[0]?.body, name);
      const { result } = yield* ask(engine, { ...request, asked: new Set(["reasoning.max_tokens", "sampling.top_p"]) });
      const failure = { _tag: "UnsupportedParameter", field: "task.sampling.top_p" };
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, failure);
      assert.lengthOf(backend.requests, 1);
    }),
  );

  it.live("is unavailable where the server reads nothing of a long request", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(
          () =>
            new Promise<Server>((resolve) => {
              const listening = createServer((socket) => void socket.pause()).listen(0, "127.0.0.1", () =>
                resolve(listening),
              );
            }),
        ),
        (listening) => Effect.sync(() => listening.close()),
      );
      const { settings } = yield* scriptedBackend(() => {});
      const { port } = server.address() as AddressInfo;
      const engine = yield* start({ ...settings, baseUrl: `http://127.0.0.1:${port}/v1`, writeTimeoutMs: 300 });
      const input = chat(message("user", "x".repeat(32 * 1024 ** 2)));
      const { result } = yield* ask(engine, {
        ...requestOf("a"),
        input: input.type === "chat" ? input : assert.fail(),
      });
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, {
        _tag: "BackendUnavailable",
        cause: "write_timeout",
      });
    }),
  );

  it.live("is left alone after failures in a row, and its model tells so", () =>
    Effect.gen(function* () {
      const backend = yield* scriptedBackend((response) => void response.writeHead(503).end());
      const engine = yield* start(backend.settings);
      for (let index = 0; index < 5; index++) yield* ask(engine);
      const { result } = yield* ask(engine);
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, { cause: "circuit_open" });
      assert.lengthOf(backend.requests, 5);
      const health = yield* Stream.runHead(Stream.filter(engine.health, (each) => each === "unreachable"));
      assert.strictEqual(health._tag, "Some");
    }),
  );

  it.live("lets its caller leave, cancel or run out of time; then nothing of it is left at the server", () =>
    Effect.gen(function* () {
      const begun = Deferred.makeUnsafe<void>();
      const backend = yield* scriptedBackend((response) => {
        beginStream(response).write(chunk({ content: "Fo" }), () => Deferred.doneUnsafe(begun, Effect.void));
      });
      const engine = yield* start(backend.settings);
      const left = yield* Effect.forkChild(ask(engine));
      yield* Deferred.await(begun);
      yield* Fiber.interrupt(left);
      const early = yield* ask(engine, { ...requestOf("b"), timeBudgetMs: 200 });
      assert.deepInclude(early.events.at(-1), { type: "finished", reason: "time-budget" });
      const output = Deferred.makeUnsafe<void>();
      const events: EngineEvent[] = [];
      const running = yield* Effect.forkChild(
        engine.converse(requestOf("c"), (event) => {
          events.push(event);
          if (event.type === "output") Deferred.doneUnsafe(output, Effect.void);
        }),
      );
      yield* Deferred.await(output);
      assert.isTrue(yield* engine.cancel("c"));
      yield* Fiber.join(running);
      assert.deepInclude(events.at(-1), { type: "finished", reason: "cancelled" });
      assert.isFalse(yield* engine.cancel("c"));
      while (backend.connections().open > 0) yield* Effect.sleep(5);
    }),
  );

  it.live("runs as many of a host's requests at once as it permits, in the order of their turns", () =>
    Effect.gen(function* () {
      const release = Deferred.makeUnsafe<void>();
      const backend = yield* scriptedBackend(async (response) => {
        await Effect.runPromise(Deferred.await(release));
        beginStream(response).end(four);
      });
      const driver = backendDrivers().vllm;
      const begin = driver.start(model, backend.settings, () => Effect.void);
      const engines = [yield* begin, yield* begin];
      const order: string[] = [];
      const fibers: Fiber.Fiber<unknown, unknown>[] = [];
      for (let index = 0; index < 64; index++) {
        const [engine = assert.fail()] = engines.slice(index % 2);
        const id = String(index);
        const run = engine.converse(requestOf(id, index === 0 ? 0 : 100 - index), (event) => {
          if (event.type === "admitted") order.push(id);
        });
        fibers.push(yield* Effect.forkChild(run, { startImmediately: true }));
      }
      while (backend.requests.length === 0) yield* Effect.sleep(5);
      assert.lengthOf(backend.requests, 1);
      Deferred.doneUnsafe(release, Effect.void);
      for (const fiber of fibers) yield* Fiber.join(fiber);
      assert.deepStrictEqual(order, ["0", ...Array.from({ length: 63 }, (_, index) => String(63 - index))]);
    }),
  );

  it.effect("counts the time of a request from its permit on, and not what it waited before", () =>
    Effect.gen(function* () {
      const release = Deferred.makeUnsafe<void>();
      const backend = yield* scriptedBackend(async (response) => {
        await Effect.runPromise(Deferred.await(release));
        beginStream(response).end(four);
      });
      const engine = yield* start(backend.settings);
      const first = yield* Effect.forkChild(ask(engine), { startImmediately: true });
      const waiting = yield* Effect.forkChild(ask(engine, { ...requestOf("b"), timeBudgetMs: 1_000 }), {
        startImmediately: true,
      });
      while (backend.requests.length === 0)
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)));
      yield* TestClock.adjust(10_000);
      Deferred.doneUnsafe(release, Effect.void);
      yield* Fiber.join(first);
      const { events } = yield* Fiber.join(waiting);
      assert.deepInclude(events.at(-1), { type: "finished", reason: "end-of-sequence" });
    }),
  );
});
