/** What becomes of a model whose engine is given up while it is loaded, or does not deliver. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Fiber, Layer, Queue, Stream } from "effect";
import { TestClock } from "effect/testing";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import type { ResidencySettings } from "../../../../src/service/config/ResidencyConfig.ts";
import { ModelBroken } from "../../../../src/service/domain/errors.ts";
import type { Engine } from "../../../../src/service/engine/Engine.ts";
import type { EngineFault } from "../../../../src/service/engine/engine-failures.ts";
import type { EngineHealth } from "../../../../src/service/engine/EngineStatus.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { idleEngine } from "../../../support/idle-engine.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { residency } from "../../../support/residency.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { lease } from "../../../support/model-in-use.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-fault-"));
  for (const name of ["a", "b"]) writeCheckpoint(join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fault = (model: string): EngineFault => new ModelBroken({ model, cause: "model.safetensors is truncated" });

/** Engines that are given up when a test says so; a start fails while `broken`. */
const scripted = () => {
  const script = {
    starts: [] as string[],
    broken: false,
    health: Effect.runSync(Queue.unbounded<EngineHealth>()),
    giveUp: (): void => {},
  };
  const start = (id: string): Effect.Effect<Engine, EngineFault> =>
    Effect.suspend(() => {
      script.starts.push(id);
      if (script.broken) return Effect.fail(fault(id));
      const failure = Deferred.makeUnsafe<EngineFault>();
      script.giveUp = () => void Deferred.doneUnsafe(failure, Exit.succeed(fault(id)));
      return Effect.succeed({
        ...idleEngine(),
        health: Stream.fromQueue(script.health),
        failure: Deferred.await(failure),
      });
    });
  return { script, engines: Layer.succeed(Engines, tokenEngines({ start: ({ id }) => start(id) })) };
};

const pool = (engines: Layer.Layer<Engines>, settings: Partial<ResidencySettings> = {}) => {
  const read = Effect.flatMap(Models, (models) => Effect.forEach(["a", "b"], models.use));
  return Layer.effectDiscard(read).pipe(
    Layer.provideMerge(ModelPool.layer),
    Layer.provide([
      inlineSandbox,
      engines,
      Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" }),
      residency(settings),
    ]),
  );
};

const use = (name: string) => Effect.scoped(lease(name));
const status = (name: string) => Effect.flatMap(Models, (models) => models.get(name));

describe("a model whose engine is given up", () => {
  it.effect("has failed with the reason, holds no memory, and refuses tasks with it", () => {
    const { script, engines } = scripted();
    return Effect.gen(function* () {
      yield* use("a");
      script.broken = true;
      script.giveUp();
      yield* fibersRan;
      assert.deepInclude(yield* status("a"), {
        state: "failed",
        stateReason: "model.safetensors is truncated",
        reservedBytes: 0,
      });
      assert.deepInclude(yield* Effect.flip(use("a")), { _tag: "ModelBroken", model: "a" });
      const { left } = yield* (yield* Models).pool;
      assert.equal(left.failure, 1);
    }).pipe(Effect.provide(pool(engines)));
  });

  it.effect("is tried again by itself, after pauses that grow, and serves again once it can", () => {
    const { script, engines } = scripted();
    return Effect.gen(function* () {
      yield* use("a");
      script.broken = true;
      script.giveUp();
      yield* fibersRan;
      const startsAfter: number[] = [];
      for (const seconds of [4, 2, 7, 4, 16, 4, 36, 4]) {
        yield* TestClock.adjust(seconds * 1000);
        yield* fibersRan;
        startsAfter.push(script.starts.length);
      }
      assert.deepEqual(startsAfter, [1, 2, 2, 3, 3, 4, 4, 5]);
      script.broken = false;
      yield* TestClock.adjust(85_000);
      yield* fibersRan;
      assert.equal((yield* status("a")).state, "active");
      // A success ends the row: the next pause is the first again.
      script.broken = true;
      script.giveUp();
      yield* fibersRan;
      const before = script.starts.length;
      yield* TestClock.adjust(6_000);
      yield* fibersRan;
      assert.equal(script.starts.length, before + 1);
    }).pipe(Effect.provide(pool(engines)));
  });

  it.effect("is not tried again at the cost of another model", () => {
    const { script, engines } = scripted();
    return Effect.gen(function* () {
      yield* use("a");
      script.broken = true;
      script.giveUp();
      yield* fibersRan;
      script.broken = false;
      yield* use("b");
      yield* TestClock.adjust(3_600_000);
      yield* fibersRan;
      assert.deepEqual([(yield* status("a")).state, (yield* status("b")).state], ["failed", "active"]);
      // A task that asks for it is another matter.
      yield* use("a");
      assert.equal((yield* status("a")).state, "active");
    }).pipe(Effect.provide(pool(engines, { maxLoaded: 1 })));
  });

  it.effect("can be loaded at once by a call, and a task that leaves does not end its revival", () => {
    const { script, engines } = scripted();
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* use("a");
      script.giveUp();
      yield* fibersRan;
      const { state } = yield* models.load("a", { pinned: undefined, idleTtlMs: undefined });
      assert.equal(state, "active");
      assert.deepEqual(script.starts, ["a", "a"]);
    }).pipe(Effect.provide(pool(engines)));
  });
});

it.effect("a model whose engine does not deliver is told so, and of no other", () => {
  const { script, engines } = scripted();
  return Effect.gen(function* () {
    const models = yield* Models;
    yield* use("a");
    const seen = yield* models.changes.pipe(
      Stream.map((conditions) => [conditions.get("a")?.delivers, conditions.get("b")?.delivers].join()),
      Stream.changes,
      Stream.take(3),
      Stream.runCollect,
      Effect.forkChild({ startImmediately: true }),
    );
    yield* fibersRan;
    Queue.offerUnsafe(script.health, "stalled");
    yield* fibersRan;
    assert.deepInclude(yield* status("a"), {
      state: "active",
      stateReason: "its engine delivers nothing at the moment",
    });
    Queue.offerUnsafe(script.health, "serving");
    assert.deepEqual([...(yield* Fiber.join(seen))], ["true,true", "false,true", "true,true"]);
    assert.equal((yield* status("a")).stateReason, "");
  }).pipe(Effect.provide(pool(engines)));
});
