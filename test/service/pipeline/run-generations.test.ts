import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Stream } from "effect";
import { TestClock } from "effect/testing";

import { type Call, CurrentCall } from "../../../src/service/domain/Call.ts";
import type { Caller } from "../../../src/service/domain/Caller.ts";
import { EngineLost, type Progress } from "../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../src/service/domain/generation-task.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { noUsage } from "../../../src/service/domain/usage.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { chat, facts, message, task } from "../../support/tasks.ts";
import { assertIdle, thinking, withPipeline, withTools } from "../../support/scripted-pipeline.ts";

describe("Generations", () => {
  it.effect("streams started, chunks and one finished, and the unary result is their fold", () =>
    withPipeline(["The ", "answer", "."], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const events = yield* Stream.runCollect(generations.stream(task()));
        assert.deepStrictEqual(
          events.map(({ type }) => type),
          ["started", "chunk", "chunk", "chunk", "finished"],
        );
        const result = yield* generations.run(task());
        const text = events.map((event) => (event.type === "chunk" ? event.text : "")).join("");
        assert.strictEqual(result.candidates[0]?.text, "The answer.");
        assert.strictEqual(text, result.candidates[0]?.text);
        assert.strictEqual(result.candidates[0]?.finished.finishReason, "end-of-sequence");
        assert.deepStrictEqual(result.usage, { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 3 });
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.deepInclude(stats, { running: 0, queued: 0, succeeded: 2, promptTokens: 10, outputTokens: 6 });
      }),
    ),
  );

  it.effect("gives the engine a prompt as it stands and a conversation through the template", () =>
    withPipeline(["x"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        yield* generations.run(task({ input: { type: "prompt", text: "ab" } }));
        yield* generations.run(task({ input: chat(message("user", "a"), message("user", "b")) }));
        yield* generations.run(task({ input: { type: "tokens", ids: [9, 8] } }));
        assert.deepStrictEqual(
          engine.requests.map(({ promptTokenIds }) => promptTokenIds),
          [
            [97, 98],
            [97, 124, 98],
            [9, 8],
          ],
        );
      }),
    ),
  );

  it.effect("tells the engine how to read the output", () =>
    withPipeline(
      ["x"],
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const tools = [{ name: "f", description: "", parameters: undefined }];
          const offering = { ...chat(message("user", "x")), tools };
          const tasks: ReadonlyArray<Partial<GenerationTask>> = [
            { input: { type: "prompt", text: "x" } },
            { input: offering },
            { input: { ...offering, toolChoice: { mode: "none" } } as never },
            { input: offering, output: { ...task().output, verbatim: true } },
            { input: chat(message("user", "x<t>\n")), reasoning: { maxTokens: 5 } },
            { input: chat(message("user", "x")), reasoning: { maxTokens: 0 } },
          ];
          for (const one of tasks) yield* generations.run(task(one));
          const readings = engine.requests.map(({ reading, reasoningLimit }) => ({
            reads: reading.format !== undefined,
            tools: reading.tools?.names,
            startsInReasoning: reading.startsInReasoning,
            limit: reasoningLimit && String.fromCodePoint(...reasoningLimit.openTokenIds),
          }));
          const plain = { reads: false, tools: undefined, startsInReasoning: false, limit: undefined };
          assert.deepStrictEqual(readings, [
            plain,
            { ...plain, reads: true, tools: ["f"] },
            { ...plain, reads: true },
            plain,
            { ...plain, reads: true, startsInReasoning: true, limit: "" },
            { ...plain, reads: true, limit: "<t>" },
          ]);
        }),
      undefined,
      { outputFormat: thinking, facts: withTools },
    ),
  );

  it.effect("cleans no text that a constraint lets through", () =>
    withPipeline(
      ["x"],
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const input = chat(message("user", "x"));
          yield* generations.run(task({ input }));
          yield* generations.run(task({ input, constraint: { type: "regex", pattern: "<s>a" } }));
          assert.deepStrictEqual(
            engine.requests.map(({ reading }) => reading.format?.cleanUp),
            [["strip_role_tokens"], []],
          );
        }),
      undefined,
      { outputFormat: { ...thinking, cleanUp: ["strip_role_tokens"] } },
    ),
  );

  it.effect("shortens a conversation by its policy, and accounts for the summary with the answer", () =>
    withPipeline(
      ["A ", "word"],
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const input = chat(
            message("user", "x".repeat(300)),
            message("assistant", "y".repeat(200)),
            message("user", "z".repeat(20)),
          );
          const refused = yield* Effect.flip(generations.run(task({ input })));
          assert.deepInclude(refused, { _tag: "ContextLengthExceeded", promptTokens: 522, contextLength: 512 });
          const dropped = yield* generations.run(task({ input, contextPolicy: "drop-oldest" }));
          assert.deepInclude(dropped.started, { promptTokens: 20, context: { droppedMessages: 2 } });
          assert.strictEqual(dropped.candidates[0]?.text, "A word");
          const before = (yield* (yield* Stats).snapshot).get("tiny");
          const events = yield* Stream.runCollect(generations.stream(task({ input, contextPolicy: "summarise" })));
          const started = events.filter((event) => event.type === "started");
          assert.lengthOf(started, 1);
          const { droppedMessages, summary, summaryUsage = noUsage } = started[0]?.context ?? {};
          assert.deepStrictEqual([droppedMessages, summary], [2, "A word"]);
          assert.isAbove(summaryUsage.promptTokens, 500);
          const last = events.at(-1);
          const { promptTokens = 0, outputTokens = 0 } = last?.type === "finished" ? last.usage : {};
          const after = (yield* (yield* Stats).snapshot).get("tiny");
          assert.strictEqual(
            (after?.promptTokens ?? 0) - (before?.promptTokens ?? 0),
            promptTokens + summaryUsage.promptTokens,
          );
          assert.strictEqual(
            (after?.outputTokens ?? 0) - (before?.outputTokens ?? 0),
            outputTokens + summaryUsage.outputTokens,
          );
          assert.strictEqual((after?.succeeded ?? 0) - (before?.succeeded ?? 0), 1);
          assert.isTrue(engine.requests.length >= 4);
          yield* assertIdle;
        }),
      undefined,
      { facts: facts({ contextLength: 512 }) },
    ),
  );

  it.effect("passes an output that fills the context to the last token", () =>
    withPipeline(["x"], (engine) =>
      Effect.gen(function* () {
        yield* (yield* Generations).run(task({ stop: { ...task().stop, maxOutputTokens: 27 } }));
        assert.strictEqual(engine.requests[0]?.parameters.maxOutputTokens, 27);
      }),
    ),
  );

  it.effect("drops the sequence and gives its place back when the reader leaves", () =>
    withPipeline(["a", { pause: true }, "b"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const first = yield* generations.stream(task()).pipe(Stream.take(2), Stream.runCollect);
        assert.strictEqual(first.length, 2);
        assert.strictEqual(engine.dropped.length, 1);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("tells its call how far it has come, also once it is interrupted", () =>
    withPipeline(["a", "b", { pause: true }], (engine) =>
      Effect.gen(function* () {
        let progress: (() => Progress) | undefined;
        const call = { ...(yield* CurrentCall), follow: (ask: () => Progress) => void (progress = ask) };
        const running = (yield* Generations).run(task()).pipe(Effect.provideService(CurrentCall, call));
        const fiber = yield* Effect.forkChild(running);
        yield* TestClock.adjust("1 millis");
        assert.strictEqual(progress?.().usage.outputTokens, 2);
        yield* Fiber.interrupt(fiber);
        assert.strictEqual(progress?.().usage.outputTokens, 2);
        assert.strictEqual(engine.dropped.length, 1);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("is ended by its caller, and by nobody of another tenant", () =>
    withPipeline(["a", { pause: true }, "b"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const as = (name: string, tenant: string, roles: Caller["roles"] = ["inference"]) =>
          Effect.updateService(CurrentCall, (call): Call => ({ ...call, caller: { name, tenant, roles, peer: "" } }));
        let id = "";
        const running = generations.stream(task()).pipe(
          Stream.tap((event) => Effect.sync(() => (id = event.type === "started" ? event.generationId : id))),
          Stream.runDrain,
          as("ann", "a"),
        );
        const fiber = yield* Effect.forkChild(running);
        yield* TestClock.adjust("1 millis");
        assert.notStrictEqual(id, "");
        assert.isFalse(yield* generations.cancel(id).pipe(as("bob", "b")));
        assert.isFalse(yield* generations.cancel(id).pipe(as("ann", "b", ["inference", "admin"])));
        assert.isFalse(yield* generations.cancel(id).pipe(as("bob", "a")));
        assert.isTrue(yield* generations.cancel(id).pipe(as("bob", "a", ["admin"])));
        yield* Fiber.join(fiber);
      }),
    ),
  );

  it.effect("tells how far a generation had come when its engine was lost", () =>
    withPipeline(["a", { fail: new EngineLost({ model: "tiny" }) }], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* Generations).run(task()));
        assert.strictEqual(error._tag, "EngineLost");
        assert.strictEqual(error._tag === "EngineLost" ? error.progress?.usage.outputTokens : -1, 1);
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.strictEqual(stats?.failed, 1);
      }),
    ),
  );

  it.effect("ends a cancelled generation with what it has", () =>
    withPipeline(["a", { pause: true }, "b"], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const events = yield* generations.stream(task()).pipe(
          Stream.tap((event) =>
            event.type === "started"
              ? Effect.map(generations.cancel(event.generationId), (found) => assert.isTrue(found))
              : Effect.void,
          ),
          Stream.runCollect,
        );
        const last = events.at(-1);
        assert.strictEqual(last?.type === "finished" ? last.finishReason : "", "cancelled");
        assert.isFalse(yield* generations.cancel("gen_unknown"));
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.strictEqual(stats?.cancelled, 1);
      }),
    ),
  );

  it.effect("queues over the engine's places and refuses over the queue's", () =>
    withPipeline([{ pause: true }, "a"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const fibers = yield* Effect.all(
          Array.from({ length: 5 }, () => Effect.forkChild(Effect.exit(generations.run(task())))),
        );
        yield* TestClock.adjust("1 millis");
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.deepInclude(stats, { running: 2, queued: 2 });
        yield* engine.resume;
        const exits = yield* Effect.forEach(fibers, Fiber.join);
        assert.strictEqual(exits.filter(Exit.isSuccess).length, 4);
        assert.match(String(exits[4]), /QueueFull|already wait/);
        yield* assertIdle;
      }),
    ),
  );

  it.effect(
    "counts no tokens of a prompt that no engine began: of one that is refused, and one that left while it waited",
    () =>
      withPipeline([{ pause: true }, "a"], (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const forked = Effect.forkChild(Effect.exit(generations.run(task())));
          const began = yield* Effect.all([forked, forked]);
          yield* TestClock.adjust("1 millis");
          const waiting = yield* Effect.all([forked, forked]);
          yield* TestClock.adjust("1 millis");
          yield* Effect.flip(generations.run(task()));
          yield* Effect.forEach(waiting, Fiber.interrupt);
          yield* engine.resume;
          yield* Effect.forEach(began, Fiber.join);
          const stats = (yield* (yield* Stats).snapshot).get("tiny");
          assert.deepInclude(stats, { succeeded: 2, refused: 1, cancelled: 2, promptTokens: 10 });
        }),
      ),
  );

  it.effect("counts a task as its prompt will be counted", () =>
    withPipeline([], () =>
      Effect.gen(function* () {
        const count = yield* (yield* Generations).count(task());
        assert.deepStrictEqual(count, {
          estimated: false,
          model: "tiny",
          promptTokens: 5,
          contextLength: 32,
          fits: true,
          maxOutputTokensLeft: 27,
        });
        const long = yield* (yield* Generations).count(task({ input: { type: "prompt", text: "a".repeat(40) } }));
        assert.deepInclude(long, { promptTokens: 40, fits: false, maxOutputTokensLeft: 0 });
      }),
    ),
  );
});
