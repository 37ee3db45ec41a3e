import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer } from "effect";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import type { EmbeddingTask } from "../../../src/service/domain/embedding.ts";
import { EngineLost } from "../../../src/service/domain/errors.ts";
import type { ModelFacts } from "../../../src/service/domain/model.ts";
import { familyProfile } from "../../../src/service/models/catalog/families.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { Embeddings } from "../../../src/service/pipeline/Embeddings.ts";
import { layer as embeddingsLayer } from "../../../src/service/pipeline/run-embeddings.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../support/open-access.ts";
import { fibersRan } from "../../support/fibers-ran.ts";
import { tokenModel } from "../../support/model-in-use.ts";
import { makeScriptedEngine, type Script, type ScriptedEngine } from "../../support/scripted-engine.ts";
import { facts } from "../../support/tasks.ts";
import { textTools } from "../../support/text-tools.ts";

const task = (overrides: Partial<EmbeddingTask> = {}): EmbeddingTask => ({
  model: "",
  inputs: [
    { type: "text", text: "ab" },
    { type: "tokens", ids: [9, 8, 7] },
  ],
  normalize: true,
  truncate: false,
  scheduling: { priority: 0, fairnessId: "" },
  ...overrides,
});

const withPipeline = <A, E>(
  script: Script,
  test: (engine: ScriptedEngine) => Effect.Effect<A, E, Embeddings | Stats>,
  model: ModelFacts = facts(),
) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine(script);
    const tools = {
      facts: model,
      profile: familyProfile("unknown"),
      ...textTools(),
    };
    const models = Layer.mock(Models)({
      use: () => Effect.succeed(tokenModel(tools, Effect.succeed(engine))),
    });
    const base = Layer.mergeAll(
      models,
      Stats.layer,
      openAccess,
      Layer.succeed(AdmissionConfig, { maxRunning: 1, maxQueued: 1 }),
    );
    const layer = embeddingsLayer.pipe(Layer.provideMerge(Admission.layer), Layer.provideMerge(base));
    return yield* test(engine).pipe(Effect.provide(layer));
  });

const stats = Effect.gen(function* () {
  return (yield* (yield* Stats).snapshot).get("tiny");
});

/** What was begun has come as far as it can: texts are prepared one in a turn. */

const run = (overrides: Partial<EmbeddingTask> = {}) =>
  Effect.flatMap(Embeddings, (embeddings) => embeddings.run(task(overrides)));

describe("Embeddings", () => {
  it.effect("gives a vector for each input in its order, and counts the tokens", () =>
    withPipeline([], () =>
      Effect.gen(function* () {
        const result = yield* run();
        assert.deepStrictEqual(
          result.embeddings.map(({ values, ...rest }) => [[...values], rest]),
          [
            [[97, 98], { tokens: 2, truncated: false }],
            [[9, 8, 7], { tokens: 3, truncated: false }],
          ],
        );
        assert.deepInclude(result, { model: "tiny", modelRevision: "r1", pooling: "last-token" });
        assert.deepInclude(yield* stats, { running: 0, queued: 0, succeeded: 1, promptTokens: 5, outputTokens: 0 });
      }),
    ),
  );

  const refused: ReadonlyArray<readonly [string, Partial<EmbeddingTask>, Partial<ModelFacts>, string]> = [
    ["another revision", { modelRevision: "r2" }, {}, 'ModelRevisionMismatch: model "tiny" has revision r1, not r2'],
    [
      "a token that is none",
      { inputs: [{ type: "tokens", ids: [1, 256] }] },
      {},
      'InvalidField: inputs[0].tokens.ids[1]: 256 is no token of model "tiny", whose vocabulary has 256',
    ],
    [
      "a text over the context",
      { inputs: ["x", "x".repeat(33)].map((text) => ({ type: "text", text }) as const) },
      {},
      "ContextLengthExceeded: inputs[1].text: at least 33 tokens exceed the context of 32: shorten the text, or set truncate",
    ],
    [
      "tokens over the context",
      { inputs: [{ type: "tokens", ids: Array.from({ length: 33 }, () => 1) }] },
      {},
      "ContextLengthExceeded: inputs[0].tokens: 33 tokens exceed the context of 32: shorten the text, or set truncate",
    ],
    [
      "more tokens than one call may have",
      {
        inputs: Array.from(
          { length: 9 },
          () => ({ type: "tokens", ids: Array.from({ length: 32_000 }, () => 1) }) as const,
        ),
      },
      { contextLength: 40_000 },
      "InvalidField: inputs: the first 9 have 288000 tokens; all together must not have more than 262144",
    ],
    [
      "a length that vectors are not cut to",
      { dimensions: 2 },
      {},
      'UnsupportedParameter: dimensions is not supported by model "tiny": its vectors have 4 numbers, and config.json ' +
        "does not say that they may be cut",
    ],
    [
      "more numbers than there are",
      { dimensions: 5 },
      { embedding: { ...facts().embedding, matryoshka: [] } },
      "InvalidField: dimensions: 5 is out of range; it must not be over 4",
    ],
  ];
  for (const [what, overrides, model, message] of refused) {
    it.effect(`refuses ${what} before it takes a place`, () =>
      withPipeline(
        [],
        (engine) =>
          Effect.gen(function* () {
            const error = yield* Effect.flip(run(overrides));
            assert.strictEqual(`${error._tag}: ${error.message}`, message);
            assert.deepStrictEqual(engine.requests, []);
            assert.deepInclude(yield* stats, { refused: 1, running: 0 });
          }),
        facts(model),
      ),
    );
  }

  it.effect("gives its place back when its caller leaves, and drops what the engine had", () =>
    withPipeline([{ pause: true }], (engine) =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(run());
        yield* fibersRan;
        const second = yield* Effect.forkChild(run());
        yield* fibersRan;
        assert.deepInclude(yield* stats, { running: 1, queued: 1 });
        assert.strictEqual((yield* Effect.flip(run()))._tag, "QueueFull");
        yield* Fiber.interrupt(first);
        assert.deepStrictEqual(engine.dropped.toSorted(), ["9,8,7", "97,98"]);
        yield* engine.resume;
        assert.strictEqual((yield* Fiber.join(second)).embeddings.length, 2);
        assert.deepInclude(yield* stats, { running: 0, queued: 0, succeeded: 1, cancelled: 1, refused: 1 });
      }),
    ),
  );

  it.effect("ends with the engine's failure", () =>
    Effect.gen(function* () {
      yield* withPipeline([{ fail: new EngineLost({ model: "tiny" }) }], () =>
        Effect.gen(function* () {
          assert.strictEqual((yield* Effect.flip(run()))._tag, "EngineLost");
          assert.deepInclude(yield* stats, { running: 0, failed: 1 });
        }),
      );
    }),
  );
});
