/** `max_queue_wait` holds for all waiting until the engine begins, and for nothing after that. */
import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, Layer } from "effect";
import { TestClock } from "effect/testing";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import type { QueueTimeout, ServiceError } from "../../../src/service/domain/errors.ts";
import { familyProfile } from "../../../src/service/models/catalog/families.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../src/service/models/smoke/SmokeTests.ts";
import { Embeddings } from "../../../src/service/pipeline/Embeddings.ts";
import { layer as embeddingsLayer } from "../../../src/service/pipeline/run-embeddings.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/run-generations.ts";
import { Metrics } from "../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../support/open-access.ts";
import { fibersRan } from "../../support/fibers-ran.ts";
import { tokenModel } from "../../support/model-in-use.ts";
import { quality } from "../../support/quality.ts";
import { makeScriptedEngine, type Script, type ScriptedEngine } from "../../support/scripted-engine.ts";
import { facts, task } from "../../support/tasks.ts";
import { textTools } from "../../support/text-tools.ts";

const scheduling = { priority: 0, fairnessId: "", maxQueueWaitMs: 200 };

interface Given {
  readonly script: Script;
  /** Ends before the model is given. */
  readonly load?: Effect.Effect<unknown>;
}

/** One place, an engine with a script, and a model that may take its time to load. */
const withPipeline = <A, E>(
  { script, load = Effect.void }: Given,
  test: (engine: ScriptedEngine) => Effect.Effect<A, E, Generations | Embeddings | Stats>,
) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine(script);
    const models = Layer.mock(Models)({
      use: () =>
        Effect.succeed(
          tokenModel({ facts: facts(), profile: familyProfile("unknown"), ...textTools() }, Effect.as(load, engine)),
        ),
    });
    const base = Layer.mergeAll(
      models,
      Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined }),
      quality({}),
      Stats.layer,
      openAccess,
      Metrics.layer,
      Layer.succeed(AdmissionConfig, { maxRunning: 1, maxQueued: 5 }),
    );
    const layer = Layer.mergeAll(generationsLayer, embeddingsLayer).pipe(
      Layer.provideMerge(Admission.layer),
      Layer.provideMerge(base),
    );
    return yield* test(engine).pipe(Effect.provide(layer));
  });

const generate = Effect.flatMap(Generations, (generations) => generations.run(task({ scheduling })));
const embed = Effect.flatMap(Embeddings, (embeddings) =>
  embeddings.run({ model: "", inputs: [{ type: "text", text: "ab" }], normalize: true, truncate: false, scheduling }),
);

/** What the call ends with, not before its time and not after it. */
const lateAfter = Effect.fnUntraced(function* (
  call: Effect.Effect<unknown, ServiceError, Generations | Embeddings>,
  waitedFor: QueueTimeout["waitedFor"],
) {
  const fiber = yield* Effect.forkChild(Effect.flip(call), { startImmediately: true });
  yield* fibersRan;
  yield* TestClock.adjust("199 millis");
  assert.isUndefined(fiber.pollUnsafe(), "it ended before its time");
  yield* TestClock.adjust("1 millis");
  assert.deepInclude(yield* Fiber.join(fiber), { _tag: "QueueTimeout", waitedMs: 200, waitedFor });
});

const assertGivenBack = Effect.gen(function* () {
  yield* fibersRan;
  assert.deepInclude((yield* (yield* Stats).snapshot).get("tiny"), { running: 0, queued: 0 });
});

const calls: Readonly<Record<string, Effect.Effect<unknown, ServiceError, Generations | Embeddings>>> = {
  generation: generate,
  "text for its vector": embed,
};

for (const [what, call] of Object.entries(calls)) {
  describe(`max_queue_wait of a ${what}`, () => {
    it.effect("covers the wait for the model to be loaded", () =>
      withPipeline({ script: ["a"], load: Effect.never }, () =>
        Effect.andThen(lateAfter(call, "model"), assertGivenBack),
      ),
    );

    it.effect("covers the wait inside the engine, which drops it", () =>
      withPipeline({ script: [{ pause: true, queued: true }, "a"] }, (engine) =>
        Effect.gen(function* () {
          yield* lateAfter(call, "engine");
          yield* assertGivenBack;
          assert.lengthOf(engine.dropped, 1);
        }),
      ),
    );

    it.effect("covers the wait for a place", () =>
      withPipeline({ script: [{ pause: true }, "a"] }, (engine) =>
        Effect.gen(function* () {
          const running = yield* Effect.forkChild(
            Effect.flatMap(Generations, (generations) => generations.run(task())),
            { startImmediately: true },
          );
          yield* fibersRan;
          yield* lateAfter(call, "place");
          yield* engine.resume;
          yield* Fiber.join(running);
          yield* assertGivenBack;
        }),
      ),
    );

    it.effect("does not end what the engine has begun", () =>
      withPipeline({ script: [{ pause: true }, "a"] }, (engine) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(call, { startImmediately: true });
          yield* fibersRan;
          yield* TestClock.adjust("30 seconds");
          yield* engine.resume;
          yield* Fiber.join(fiber);
        }),
      ),
    );

    it.effect("counts what is waited for one after the other together", () => {
      const loaded = Deferred.makeUnsafe<void>();
      return withPipeline(
        { script: [{ pause: true, queued: true }], load: Deferred.await(loaded) },
        Effect.fnUntraced(function* () {
          const fiber = yield* Effect.forkChild(Effect.flip(call), { startImmediately: true });
          yield* fibersRan;
          yield* TestClock.adjust("150 millis");
          yield* Deferred.succeed(loaded, undefined);
          yield* fibersRan;
          yield* TestClock.adjust("50 millis");
          assert.deepInclude(yield* Fiber.join(fiber), { _tag: "QueueTimeout", waitedFor: "engine" });
        }),
      );
    });
  });
}
