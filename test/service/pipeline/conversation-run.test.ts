/** The pipeline above an engine that takes conversations and no tokens: what it shares with others, and what it refuses. */
import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer, Stream } from "effect";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import type { ConversationOption } from "../../../src/service/domain/conversation-options.ts";
import { EngineRestarting } from "../../../src/service/domain/errors.ts";
import type { ServedModel } from "../../../src/service/domain/model.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../src/service/models/smoke/SmokeTests.ts";
import { layer as embeddingsLayer } from "../../../src/service/pipeline/run-embeddings.ts";
import { Embeddings } from "../../../src/service/pipeline/Embeddings.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/run-generations.ts";
import { Metrics } from "../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../support/open-access.ts";
import { quality } from "../../support/quality.ts";
import {
  conversationModel,
  type ConversationScript,
  makeScriptedConversations,
  type ScriptedConversations,
} from "../../support/scripted-conversations.ts";
import { png } from "../../support/images.ts";
import { chat, facts, message, task } from "../../support/tasks.ts";

const call = { index: 0, id: "c1", name: "f", arguments: "{}" };
const answer: ConversationScript = {
  promptTokens: 11,
  pieces: [
    { reasoning: "hm", tokens: 3, reasoningTokens: 3 },
    { text: "The ", tokens: 2 },
    { text: "answer.", toolCalls: [call] },
  ],
};

const withDefaults = (defaults: Partial<ServedModel["defaults"]>): ServedModel => {
  const known = facts();
  return { ...known, defaults: { ...known.defaults, stopSequences: ["</s>"], ...defaults } };
};

const withDriver = <A, E>(
  script: ConversationScript,
  test: (engine: ScriptedConversations) => Effect.Effect<A, E, Generations | Embeddings | Stats>,
  options: ReadonlyArray<ConversationOption> = [],
  defaults: Partial<ServedModel["defaults"]> = {},
) => {
  const engine = makeScriptedConversations(script);
  const base = Layer.mergeAll(
    Layer.mock(Models)({ use: () => Effect.succeed(conversationModel(withDefaults(defaults), engine, options)) }),
    Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined }),
    quality({}),
    Metrics.layer,
    Stats.layer,
    openAccess,
    Layer.succeed(AdmissionConfig, { maxRunning: 2, maxQueued: 2 }),
  );
  const layer = Layer.mergeAll(generationsLayer, embeddingsLayer).pipe(
    Layer.provideMerge(Admission.layer),
    Layer.provideMerge(base),
  );
  return test(engine).pipe(Effect.provide(layer));
};

const pictured = chat({
  ...message("user", "What is this?"),
  content: [{ type: "image", source: { data: png }, mediaType: "" }],
});
const question = chat(message("user", "Hi"));
const asked = task({ input: question });
const stats = Effect.flatMap(Stats, ({ snapshot }) => Effect.map(snapshot, (all) => all.get("tiny")));

describe("a task for an engine that takes conversations", () => {
  it.effect("gets the conversation as it is, and its result is what the engine tells", () =>
    withDriver(answer, (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        const { started, candidates, usage } = yield* generations.run(asked);
        assert.deepStrictEqual(
          engine.requests.map(({ input }) => input),
          [question],
        );
        assert.deepInclude(started, { promptTokens: 11, cachedPromptTokens: 2 });
        const [candidate] = candidates;
        assert.deepInclude(candidate, { text: "The answer.", reasoning: "hm", toolCalls: [call], tokenIds: [] });
        assert.deepStrictEqual(usage, {
          promptTokens: 11,
          cachedPromptTokens: 2,
          outputTokens: 6,
          reasoningTokens: 3,
        });
        assert.deepInclude(yield* stats, { succeeded: 1, promptTokens: 11, outputTokens: 6, running: 0, queued: 0 });
      }),
    ),
  );

  it.effect("streams, and is ended by CancelGeneration or by its caller's leaving", () =>
    withDriver({ ...answer, ends: "waits" }, (engine) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        let id = "";
        const events = yield* generations.stream(asked).pipe(
          Stream.tap((event) =>
            event.type === "started"
              ? Effect.sync(() => (id = event.generationId))
              : event.type === "chunk" && event.text === "answer."
                ? generations.cancel(id)
                : Effect.void,
          ),
          Stream.runCollect,
        );
        const last = events.at(-1);
        assert.strictEqual(last?.type === "finished" && last.finishReason, "cancelled");
        const left = yield* Effect.forkChild(generations.run(asked), { startImmediately: true });
        yield* Effect.yieldNow;
        yield* Fiber.interrupt(left);
        assert.lengthOf(engine.dropped, 1);
        assert.deepInclude(yield* stats, { running: 0, cancelled: 2 });
      }),
    ),
  );

  it.effect("fails with what the engine fails with", () =>
    withDriver({ ...answer, pieces: [], ends: new EngineRestarting({ model: "tiny", retryAfterMs: 5 }) }, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip((yield* Generations).run(asked));
        assert.deepInclude(error, { _tag: "EngineRestarting", retryAfterMs: 5 });
        assert.deepInclude(yield* stats, { failed: 1, running: 0 });
      }),
    ),
  );

  it.effect("is refused by the name of what its engine does not heed, and no other way", () =>
    withDriver(
      answer,
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          const refusalOf = (overrides: Parameters<typeof task>[0]) =>
            Effect.map(Effect.flip(generations.run(task({ input: question, ...overrides }))), (error) =>
              error._tag === "UnsupportedParameter" ? error.field : error._tag,
            );
          assert.strictEqual(yield* refusalOf({ input: { type: "tokens", ids: [1] } }), "task.tokens");
          assert.strictEqual(yield* refusalOf({ input: { type: "prompt", text: "a" } }), "task.prompt");
          assert.strictEqual(yield* refusalOf({ sampling: { topK: 3 } }), "task.sampling.top_k");
          assert.strictEqual(yield* refusalOf({ input: pictured }), "UnsupportedTask");
          assert.strictEqual(yield* refusalOf({ adapter: "a" }), "task.adapter");
          assert.strictEqual(yield* refusalOf({ constraint: { type: "json-object" } }), "task.constraint");
          assert.strictEqual(yield* refusalOf({ modelRevision: "other" }), "ModelRevisionMismatch");
          assert.lengthOf(engine.requests, 0);
          yield* generations.run(task({ input: question, sampling: { temperature: 0.5, seed: 7 } }));
          assert.deepInclude(engine.requests[0]?.parameters, { temperature: 0.5, seed: 7 });
        }),
      ["sampling.temperature", "sampling.seed"],
    ),
  );

  it.effect("may have images, which are looked at before they are sent", () =>
    withDriver(
      answer,
      (engine) =>
        Effect.gen(function* () {
          const generations = yield* Generations;
          yield* generations.run(task({ input: pictured }));
          assert.deepStrictEqual(engine.requests[0]?.input, pictured);
          const bad = chat({
            ...message("user", "?"),
            content: [{ type: "image", source: { data: Uint8Array.of(1) }, mediaType: "" }],
          });
          const error = yield* Effect.flip(generations.run(task({ input: bad })));
          assert.strictEqual(error._tag, "InvalidField");
          const url = chat({
            ...message("user", "?"),
            content: [{ type: "image", source: { url: "http://10.0.0.1/" }, mediaType: "" }],
          });
          const refused = yield* Effect.flip(generations.run(task({ input: url })));
          assert.deepInclude(refused, { _tag: "UnsupportedParameter", field: "task.chat.messages" });
          assert.lengthOf(engine.requests, 1);
        }),
      ["chat.images"],
    ),
  );

  it.effect("is told the parameters that its engine was given: no default of an option that it does not heed", () =>
    withDriver(
      answer,
      (engine) =>
        Effect.gen(function* () {
          const { started } = yield* (yield* Generations).run(asked);
          const off = {
            topK: undefined,
            minP: 0,
            repetitionPenalty: 1,
            presencePenalty: 0,
            frequencyPenalty: 0,
            seed: 0,
          };
          assert.deepInclude(started.parameters, { ...off, temperature: 0.25, stopSequences: [] });
          assert.deepEqual(engine.requests[0]?.parameters, started.parameters);
        }),
      ["sampling.temperature"],
      { temperature: 0.25, topK: 5, minP: 0.1, repetitionPenalty: 1.1, presencePenalty: 0.2, frequencyPenalty: 0.3 },
    ),
  );

  it.effect("is counted by an estimate that says so, and not made a vector of", () =>
    withDriver(answer, () =>
      Effect.gen(function* () {
        const counted = yield* (yield* Generations).count(asked);
        assert.deepInclude(counted, { promptTokens: 5, estimated: true, fits: true, maxOutputTokensLeft: 27 });
        const inputs = [{ type: "text", text: "a" }] as const;
        const embedding = { model: "", inputs, normalize: true, truncate: false, scheduling: asked.scheduling };
        assert.deepInclude(yield* Effect.flip((yield* Embeddings).run(embedding)), { task: "embeddings" });
      }),
    ),
  );
});
