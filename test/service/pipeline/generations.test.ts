import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Layer, Stream } from "effect";
import { TestClock } from "effect/testing";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import { EngineLost, ModelNotFound } from "../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../src/service/domain/generation.ts";
import { familyProfile } from "../../../src/service/models/families.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/GenerationsLive.ts";
import { ChatTemplateRefused } from "../../../src/service/prompt/chat-template.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { makeScriptedEngine, type Script, type ScriptedEngine } from "../../support/scripted-engine.ts";
import { chat, facts, message, task } from "../../support/tasks.ts";

/** One token for each character. */
const tokenizer = {
  vocabularySize: 256,
  longestTokenBytes: 4,
  encode: (text: string) => Array.from(text, (character) => (character.codePointAt(0) ?? 0) % 256),
  decode: (ids: ReadonlyArray<number>) => String.fromCodePoint(...ids),
  piece: (id: number) => String.fromCodePoint(id),
};

const chatTemplate = {
  render: ({ messages }: Extract<GenerationTask["input"], { type: "chat" }>) => {
    if (messages.some(({ role }) => role === "tool")) throw new ChatTemplateRefused("no tools here");
    return messages
      .map(({ content }) => content.map((part) => (part.type === "text" ? part.text : "")).join(""))
      .join("|");
  },
};

const options = { deadlineMs: 10_000 };

/** Runs a test against the pipeline on a scripted engine. */
const withPipeline = <A, E>(
  script: Script,
  test: (engine: ScriptedEngine) => Effect.Effect<A, E, Generations | Stats>,
  limits = { maxRunning: 2, maxQueued: 2 },
) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine(script);
    const models = Layer.mock(Models)({
      promptTools: (name) =>
        name === "" || name === "tiny"
          ? Effect.succeed({ facts: facts(), profile: familyProfile("unknown"), tokenizer, chatTemplate })
          : Effect.fail(new ModelNotFound({ model: name, nearest: [] })),
      lease: () => Effect.succeed(engine),
    });
    const base = Layer.mergeAll(models, Stats.layer, Layer.succeed(AdmissionConfig, limits));
    const layer = generationsLayer.pipe(Layer.provideMerge(Admission.layer), Layer.provideMerge(base));
    return yield* test(engine).pipe(Effect.provide(layer));
  });

const assertIdle = Effect.gen(function* () {
  const stats = (yield* (yield* Stats).snapshot).get("tiny");
  assert.strictEqual(stats?.running ?? 0, 0);
  assert.strictEqual(stats?.queued ?? 0, 0);
});

describe("Generations", () => {
  it.effect("streams started, chunks and one finished, and the unary result is their fold", () =>
    withPipeline(["The ", "answer", "."], () =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const events = yield* Stream.runCollect(generations.stream(task(), options));
        assert.deepStrictEqual(
          events.map(({ type }) => type),
          ["started", "chunk", "chunk", "chunk", "finished"],
        );
        const result = yield* generations.run(task(), options);
        const text = events.map((event) => (event.type === "chunk" ? event.text : "")).join("");
        assert.strictEqual(result.text, "The answer.");
        assert.strictEqual(text, result.text);
        assert.strictEqual(result.finished.finishReason, "end-of-sequence");
        assert.deepStrictEqual(result.finished.usage, { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 3 });
        const stats = (yield* (yield* Stats).snapshot).get("tiny");
        assert.deepInclude(stats, { running: 0, queued: 0, succeeded: 2, promptTokens: 10, outputTokens: 6 });
      }),
    ),
  );

  it.effect("gives the engine a prompt as it stands and a conversation through the template", () =>
    withPipeline(["x"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        yield* generations.run(task({ input: { type: "prompt", text: "ab" } }), options);
        yield* generations.run(task({ input: chat(message("user", "a"), message("user", "b")) }), options);
        yield* generations.run(task({ input: { type: "tokens", ids: [9, 8] } }), options);
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

  const refusals: ReadonlyArray<readonly [string, Partial<GenerationTask>, string, RegExp]> = [
    ["an unknown model", { model: "nope" }, "ModelNotFound", /"nope"/],
    ["another revision", { modelRevision: "r2" }, "ModelRevisionMismatch", /r1.*r2/],
    [
      "an output over the room left",
      { stop: { ...task().stop, maxOutputTokens: 28 } },
      "ContextLengthExceeded",
      /5 prompt tokens and 28 output tokens exceed the context of 32/,
    ],
    [
      "a prompt that fills the context",
      { input: { type: "prompt", text: "a".repeat(32) } },
      "ContextLengthExceeded",
      /32 prompt tokens/,
    ],
    [
      "a prompt too long to be tokenised",
      { input: { type: "prompt", text: "a".repeat(10_000) } },
      "ContextLengthExceeded",
      /at least 2500 prompt tokens/,
    ],
    ["a token outside the vocabulary", { input: { type: "tokens", ids: [1, 256] } }, "InvalidField", /ids\[1\]: 256/],
    [
      "a stop token outside the vocabulary",
      { stop: { ...task().stop, stopTokenIds: [999] } },
      "InvalidField",
      /stop_token_ids\[0\]: 999/,
    ],
    [
      "a minimum over the maximum",
      { stop: { ...task().stop, minOutputTokens: 5, maxOutputTokens: 4 } },
      "InvalidField",
      /5 is more than max_output_tokens, which is 4/,
    ],
    ["a role that the template refuses", { input: chat(message("tool", "4")) }, "InvalidField", /no tools here/],
    [
      "tools for a template without tools",
      {
        input: {
          ...(chat(message("user", "x")) as object),
          tools: [{ name: "f", description: "", parameters: undefined }],
        } as never,
      },
      "UnsupportedParameter",
      /task.chat.tools/,
    ],
  ];
  for (const [what, overrides, tag, text] of refusals) {
    it.effect(`refuses ${what} before the engine sees it`, () =>
      withPipeline(["x"], (engine) =>
        Effect.gen(function* () {
          const error = yield* Effect.flip((yield* Generations).run(task(overrides), options));
          assert.strictEqual(error._tag, tag);
          assert.match(error.message, text);
          assert.strictEqual(engine.requests.length, 0);
          yield* assertIdle;
        }),
      ),
    );
  }

  it.effect("passes an output that fills the context to the last token", () =>
    withPipeline(["x"], (engine) =>
      Effect.gen(function* () {
        yield* (yield* Generations).run(task({ stop: { ...task().stop, maxOutputTokens: 27 } }), options);
        assert.strictEqual(engine.requests[0]?.parameters.maxOutputTokens, 27);
      }),
    ),
  );

  it.effect("drops the sequence and gives its place back when the reader leaves", () =>
    withPipeline(["a", { pause: true }, "b"], (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const first = yield* generations.stream(task(), options).pipe(Stream.take(2), Stream.runCollect);
        assert.strictEqual(first.length, 2);
        assert.strictEqual(engine.dropped.length, 1);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("ends a call at its deadline with what it spent", () =>
    withPipeline(["a", "b", { pause: true }], (engine) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Effect.flip((yield* Generations).run(task(), { deadlineMs: 500 })));
        yield* TestClock.adjust("499 millis");
        assert.strictEqual(engine.dropped.length, 0);
        yield* TestClock.adjust("1 millis");
        const error = yield* Fiber.join(fiber);
        assert.strictEqual(error._tag, "DeadlineExceeded");
        assert.strictEqual(error._tag === "DeadlineExceeded" ? error.progress?.usage.outputTokens : -1, 2);
        assert.strictEqual(engine.dropped.length, 1);
        yield* assertIdle;
      }),
    ),
  );

  it.effect("tells how far a generation had come when its engine was lost", () =>
    withPipeline(["a", { fail: new EngineLost({ model: "tiny" }) }], () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* Generations).run(task(), options));
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
        const events = yield* generations.stream(task(), options).pipe(
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
          Array.from({ length: 5 }, () => Effect.forkChild(Effect.exit(generations.run(task(), options)))),
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

  it.effect("counts a task as its prompt will be counted", () =>
    withPipeline([], () =>
      Effect.gen(function* () {
        const count = yield* (yield* Generations).count(task());
        assert.deepStrictEqual(count, {
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
