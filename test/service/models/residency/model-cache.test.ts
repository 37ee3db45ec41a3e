/** What an operator asks of the models in memory. Engines are scripted, and time is the test's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Layer } from "effect";
import { TestClock } from "effect/testing";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import type { ResidencySettings } from "../../../../src/service/config/ResidencyConfig.ts";
import type { ModelStatus } from "../../../../src/service/domain/model.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { hold, lease, useBriefly } from "../../../support/model-in-use.ts";
import { residency } from "../../../support/residency.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { idleEngine } from "../../../support/idle-engine.ts";

const names = ["a", "b", "c", "local_mlx:a"];
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-model-cache-"));
  for (const name of names) writeCheckpoint(join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What a model takes: it has no caches, and 4,304 bytes of weights. */
const modelBytes = 256 * 1024 ** 2 + 4 * (268 * 4 + 4);
const gibibyte = 1024 ** 3;

const pool = (settings: Partial<ResidencySettings> = {}, loadMs = 0) => {
  const engine = {
    ...idleEngine({ residentBytes: 700 }),
    clearPrefixes: () => Effect.succeed({ entries: 2, bytes: 50 }),
  };
  // Reading files takes turns of the event loop, which no test clock moves: it is done before the test begins.
  const read = Effect.flatMap(Models, (models) => Effect.forEach(names, models.use));
  return Layer.effectDiscard(read).pipe(
    Layer.provideMerge(ModelPool.layer),
    Layer.provide(
      Layer.succeed(
        Engines,
        tokenEngines({ start: () => Effect.as(loadMs > 0 ? Effect.sleep(loadMs) : Effect.void, engine) }),
      ),
    ),
    Layer.provide([
      inlineSandbox,
      Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" }),
      residency(settings),
    ]),
  );
};

const idsOf = (statuses: ReadonlyArray<ModelStatus>) => statuses.map(({ facts }) => facts.id);
const resident = Effect.flatMap(Models, (models) =>
  Effect.map(models.list, (all) => idsOf(all.filter(({ reservedBytes }) => reservedBytes > 0))),
);
const drained = { drainMs: 30_000, force: false };

describe("the use of models in memory", () => {
  it.effect("is counted exactly: lookups and hits in all and of each, loads, and why models left", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      for (const name of ["a", "a", "b", "a", "c", "a"]) yield* useBriefly(name);
      yield* models.load("b", { pinned: undefined, idleTtlMs: undefined });
      yield* models.unload("b", drained);
      const { total, loaded, models: each, limits } = yield* models.usage;
      assert.deepInclude(total, { lookups: 6, hits: 3, loads: 4, loadFailures: 0 });
      assert.deepInclude(total.left, { eviction: 2, limits: 0, idle: 0, unload: 1, removal: 0, failure: 0 });
      assert.deepEqual([loaded, limits.maxLoaded], [1, 2]);
      const counts = each.map(({ status, use: own }) => [status.facts.id, own?.lookups, own?.hits, own?.lastLookupAt]);
      assert.deepEqual(counts, [
        ["a", 4, 3, 60],
        ["b", 1, 0, 30],
        ["c", 1, 0, 50],
      ]);
    }).pipe(Effect.provide(pool({ maxLoaded: 2 }))),
  );

  it.effect("counts tasks that wait for one load as misses, and a load by call not at all", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const tasks = yield* Effect.forEach(["a", "a", "a"], (name) =>
        Effect.forkChild(Effect.scoped(lease(name)), { startImmediately: true }),
      );
      yield* fibersRan;
      yield* TestClock.adjust(100);
      yield* Effect.forEach(tasks, Fiber.join);
      assert.deepInclude((yield* models.usage).total, { lookups: 3, hits: 0, loads: 1 });
      const loading = yield* Effect.forkChild(models.load("b", { pinned: undefined, idleTtlMs: undefined }));
      yield* fibersRan;
      yield* TestClock.adjust(100);
      yield* Fiber.join(loading);
      yield* useBriefly("b");
      assert.deepInclude((yield* models.usage).total, { lookups: 4, hits: 1, loads: 2 });
    }).pipe(Effect.provide(pool({}, 100))),
  );
});

describe("new limits", () => {
  it.effect("evict idle models at once, least recently used first, and tell which", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      for (const name of ["a", "b", "c", "a"]) yield* useBriefly(name);
      const resized = yield* models.resize({ maxLoaded: 1 });
      assert.deepEqual(idsOf(resized.evicted), ["b", "c"]);
      assert.deepEqual([resized.before.maxLoaded, resized.limits.maxLoaded], [4, 1]);
      assert.deepEqual([resized.configured.maxLoaded, resized.isOverLimits], [4, false]);
      assert.deepEqual(yield* resident, ["a"]);
      assert.strictEqual((yield* models.usage).total.left.limits, 2);
      yield* useBriefly("b");
      assert.deepEqual(yield* resident, ["b"]);
      assert.deepEqual(idsOf((yield* models.resize({ maxLoaded: 3 })).evicted), []);
      for (const name of ["a", "c"]) yield* useBriefly(name);
      assert.deepEqual(yield* resident, ["a", "b", "c"]);
    }).pipe(Effect.provide(pool())),
  );

  it.effect("of bytes evict as many models as are too much, and what is one byte within them stays", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      for (const name of ["a", "b", "c"]) yield* useBriefly(name);
      assert.deepEqual(idsOf((yield* models.resize({ budgetBytes: 3 * modelBytes })).evicted), []);
      assert.deepEqual(idsOf((yield* models.resize({ budgetBytes: 3 * modelBytes - 1 })).evicted), ["a"]);
    }).pipe(Effect.provide(pool())),
  );

  it.effect("wait for models in use, which then leave by themselves, and let pinned ones stay", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const [a, b] = [yield* hold("a"), yield* hold("b")];
      yield* models.load("c", { pinned: true, idleTtlMs: undefined });
      const resized = yield* models.resize({ maxLoaded: 1 });
      assert.deepEqual([idsOf(resized.evicted), idsOf(resized.leaving)], [[], ["a", "b"]]);
      assert.isTrue(resized.isOverLimits);
      // It is not closed to tasks meanwhile.
      yield* useBriefly("a");
      yield* a.giveBack;
      assert.deepEqual(yield* resident, ["b", "c"]);
      yield* b.giveBack;
      assert.deepEqual(yield* resident, ["c"]);
      assert.isFalse((yield* models.resize({ maxLoaded: 1 })).isOverLimits);
    }).pipe(Effect.provide(pool())),
  );

  it.effect("are taken back before a model in use has left for them", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const [a, b] = [yield* hold("a"), yield* hold("b")];
      yield* models.resize({ maxLoaded: 1 });
      yield* models.resize({ maxLoaded: 2 });
      yield* Effect.all([a.giveBack, b.giveBack]);
      assert.deepEqual(yield* resident, ["a", "b"]);
    }).pipe(Effect.provide(pool())),
  );

  it.effect("let a load begin that waited for room, and end one that can never fit any more", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      yield* hold("a");
      const begin = (name: string) =>
        Effect.forkChild(Effect.exit(Effect.scoped(lease(name))), { startImmediately: true });
      const b = yield* begin("b");
      yield* fibersRan;
      yield* models.resize({ maxLoaded: 2 });
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(b)));
      yield* models.resize({ maxLoaded: 1 });
      const c = yield* begin("c");
      yield* fibersRan;
      yield* models.resize({ budgetBytes: modelBytes - 1 });
      const exit = yield* Fiber.join(c);
      assert.include(JSON.stringify(exit), "ModelTooLarge");
    }).pipe(Effect.provide(pool({ maxLoaded: 1 }))),
  );

  it.effect("evict what is idle now also where a load waits for a model in use", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      yield* useBriefly("a");
      yield* hold("b");
      yield* hold("c");
      const waiting = yield* Effect.forkChild(Effect.exit(Effect.scoped(lease("local_mlx:local_mlx:a"))), {
        startImmediately: true,
      });
      yield* fibersRan;
      yield* models.resize({ maxLoaded: 2 });
      assert.deepEqual(yield* resident, ["b", "c"]);
      yield* Fiber.interrupt(waiting);
    }).pipe(Effect.provide(pool({ maxLoaded: 3 }))),
  );

  it.effect("that are lowered while a model runs do not make it look smaller", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const a = yield* hold("a");
      yield* models.resize({ budgetBytes: modelBytes - 1 });
      // Its process is measured each second.
      yield* TestClock.adjust("2 seconds");
      yield* fibersRan;
      yield* a.giveBack;
      assert.deepEqual(yield* resident, []);
      assert.strictEqual((yield* Effect.flip(Effect.scoped(lease("a"))))._tag, "ModelTooLarge");
      yield* models.resize({ budgetBytes: modelBytes });
      yield* useBriefly("a");
      assert.strictEqual((yield* models.usage).reservedBytes, modelBytes);
    }).pipe(Effect.provide(pool())),
  );

  it.effect("over what a Mac's GPU may hold are refused by their field, and change nothing", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const error = yield* Effect.flip(models.resize({ maxLoaded: 2, budgetBytes: 20 * gibibyte }));
      assert(error._tag === "InvalidField");
      assert.deepEqual(error.violations, [
        {
          field: "max_memory_gb",
          description: "20 is more than the 10.5 GiB that the GPU of this Mac may hold beside the system",
        },
      ]);
      const { limits } = yield* models.usage;
      assert.deepEqual(limits, { maxLoaded: 4, budgetBytes: 8 * gibibyte });
    }).pipe(Effect.provide(pool({ mostBytes: 10.5 * gibibyte }))),
  );
});

describe("removing and clearing", () => {
  it.effect("remove a model by its key, which counts before the id of another", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      for (const name of ["a", "local_mlx:local_mlx:a"]) yield* useBriefly(name);
      assert.deepInclude(yield* models.remove("local_mlx:a", drained), { unloaded: true, freedBytes: 700 });
      assert.deepEqual(yield* resident, ["local_mlx:a"]);
      assert.deepInclude(yield* models.remove("local_mlx:a", drained), { unloaded: false, freedBytes: 0 });
      assert.isTrue((yield* models.remove("local_mlx:local_mlx:a", drained)).unloaded);
      for (const unknown of ["local_mlx:none", "ollama:llama2-7b", "org/name:tag", "x:y/z:1"]) {
        assert.strictEqual((yield* Effect.flip(models.remove(unknown, drained)))._tag, "ModelNotFound", unknown);
      }
    }).pipe(Effect.provide(pool())),
  );

  it.effect("clear every idle model, and tell which stayed and why", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      yield* useBriefly("a");
      const b = yield* hold("b");
      yield* models.load("c", { pinned: true, idleTtlMs: undefined });
      const cleared = yield* models.clear(false);
      assert.deepEqual([idsOf(cleared.removed), cleared.freedBytes], [["a"], 700]);
      assert.deepEqual(
        cleared.kept.map(({ status, reason }) => [status.facts.id, reason]),
        [
          ["b", "a task uses it"],
          ["c", "it is pinned"],
        ],
      );
      yield* b.giveBack;
      const all = yield* models.clear(true);
      assert.deepEqual([idsOf(all.removed), all.kept], [["b", "c"], []]);
      assert.deepEqual(yield* resident, []);
      assert.deepEqual(yield* models.clear(true), { removed: [], kept: [], freedBytes: 0 });
    }).pipe(Effect.provide(pool())),
  );

  it.effect("drop the prompts of the models in memory, or of one, and know an unknown one", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      for (const name of ["a", "b"]) yield* useBriefly(name);
      const told = (all: ReadonlyArray<{ status: ModelStatus; entries: number; bytes: number }>) =>
        all.map(({ status, entries, bytes }) => [status.facts.id, entries, bytes]);
      assert.deepEqual(told(yield* models.clearPrefixes(undefined, {})), [
        ["a", 2, 50],
        ["b", 2, 50],
      ]);
      assert.deepEqual(told(yield* models.clearPrefixes("local_mlx:b", { partition: "x" })), [["b", 2, 50]]);
      assert.deepEqual(told(yield* models.clearPrefixes("c", {})), []);
      assert.strictEqual((yield* Effect.flip(models.clearPrefixes("none", {})))._tag, "ModelNotFound");
    }).pipe(Effect.provide(pool())),
  );
});
