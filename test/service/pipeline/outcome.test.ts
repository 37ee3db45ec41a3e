import { assert, describe, it } from "@effect/vitest";
import { Cause, Effect, Exit, Layer } from "effect";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import * as errors from "../../../src/service/domain/errors.ts";
import { familyProfile } from "../../../src/service/models/catalog/families.ts";
import { Models } from "../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../src/service/models/smoke/SmokeTests.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/run-generations.ts";
import { outcomeOf } from "../../../src/service/pipeline/outcome.ts";
import { Metrics } from "../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../support/open-access.ts";
import { tokenModel } from "../../support/model-in-use.ts";
import { quality } from "../../support/quality.ts";
import { makeScriptedEngine, type Script } from "../../support/scripted-engine.ts";
import { facts, task } from "../../support/tasks.ts";
import { textTools } from "../../support/text-tools.ts";

describe("the outcome of a call", () => {
  const running = { isCut: () => false };

  it("is refused where it was not begun for what it asks or for lack of room, also after it was queued", () => {
    const refused = [
      new errors.InvalidField({ violations: [] }),
      new errors.ModelNotFound({ model: "x", nearest: [] }),
      new errors.QueueFull({ model: "m", limit: 1, retryAfterMs: 1 }),
      new errors.QueueTimeout({ waitedMs: 1, waitedFor: "engine", retryAfterMs: 1 }),
      new errors.InsufficientMemory({ neededBytes: 2, availableBytes: 1 }),
    ];
    for (const error of refused) assert.equal(outcomeOf(Exit.fail(error), running), "refused", error._tag);
  });

  it("is failed where engine, files or service are to blame, a bug among them", () => {
    assert.equal(outcomeOf(Exit.fail(new errors.EngineLost({ model: "m" })), running), "failed");
    assert.equal(outcomeOf(Exit.fail(new errors.ModelBroken({ model: "m", cause: "x" })), running), "failed");
    assert.equal(outcomeOf(Exit.die(new Error("a bug")), running), "failed");
  });

  it("is failed where the service ends while it runs", () => {
    assert.equal(outcomeOf(Exit.failCause(Cause.interrupt(1)), { isCut: () => true }), "failed");
    assert.equal(outcomeOf(Exit.void, { isCut: () => true }), "succeeded");
  });

  it("is cancelled where the caller, or its deadline, ended it", () => {
    assert.equal(outcomeOf(Exit.failCause(Cause.interrupt(1)), running), "cancelled");
    assert.equal(outcomeOf(Exit.fail(new errors.DeadlineExceeded({})), running), "cancelled");
    assert.equal(outcomeOf(Exit.void, running, true), "cancelled");
    assert.equal(outcomeOf(Exit.void, running), "succeeded");
  });
});

const withPipeline = <A, E>(script: Script, test: Effect.Effect<A, E, Generations | Stats>) =>
  Effect.gen(function* () {
    const engine = yield* makeScriptedEngine(script);
    const models = Layer.mock(Models)({
      use: (name) => {
        if (name === "broken-alias") return Effect.fail(new errors.ModelBroken({ model: "broken", cause: "x" }));
        return name === ""
          ? Effect.succeed(
              tokenModel({ facts: facts(), profile: familyProfile("unknown"), ...textTools() }, Effect.succeed(engine)),
            )
          : Effect.fail(new errors.ModelNotFound({ model: name, nearest: [] }));
      },
    });
    const base = Layer.mergeAll(
      models,
      Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined }),
      quality({}),
      Stats.layer,
      openAccess,
      Metrics.layer,
      Layer.succeed(AdmissionConfig, { maxRunning: 1, maxQueued: 0 }),
    );
    return yield* test.pipe(
      Effect.provide(generationsLayer.pipe(Layer.provideMerge(Admission.layer), Layer.provideMerge(base))),
    );
  });

const run = (model: string) =>
  Effect.flatMap(Generations, (generations) => Effect.exit(generations.run(task({ model }))));
const snapshot = Effect.flatMap(Stats, (stats) => stats.snapshot);

describe("statistics", () => {
  it.effect("count names that nobody has together, so that callers cannot fill them", () =>
    withPipeline(
      ["a"],
      Effect.gen(function* () {
        for (let i = 0; i < 500; i++) yield* run(`nobody-${i}`);
        yield* run("");
        const counted = yield* snapshot;
        assert.deepEqual([...counted.keys()].toSorted(), ["", "tiny"]);
        assert.deepInclude(counted.get(""), { refused: 500, failed: 0 });
        assert.deepInclude(counted.get("tiny"), { succeeded: 1, refused: 0 });
      }),
    ),
  );

  it.effect("count a model that cannot be used under its id, whatever it was called", () =>
    withPipeline(
      ["a"],
      Effect.gen(function* () {
        yield* run("broken-alias");
        assert.deepInclude((yield* snapshot).get("broken"), { failed: 1, refused: 0 });
      }),
    ),
  );

  it.effect("count what the engine refuses as refused, and what it loses as failed", () =>
    Effect.gen(function* () {
      const tooLarge = new errors.InsufficientMemory({ neededBytes: 2, availableBytes: 1 });
      yield* withPipeline(
        [{ fail: tooLarge }],
        Effect.gen(function* () {
          yield* run("");
          assert.deepInclude((yield* snapshot).get("tiny"), { refused: 1, failed: 0 });
        }),
      );
      yield* withPipeline(
        [{ fail: new errors.EngineLost({ model: "tiny" }) }],
        Effect.gen(function* () {
          yield* run("");
          assert.deepInclude((yield* snapshot).get("tiny"), { refused: 0, failed: 1 });
        }),
      );
    }),
  );
});
