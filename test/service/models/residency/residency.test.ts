/** Many models in little memory: who goes, who stays, who waits. Engines are scripted, and time is the test's. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { Clock, Deferred, Effect, Exit, Fiber, Layer } from "effect";
import { TestClock } from "effect/testing";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import type { ResidencySettings } from "../../../../src/service/config/ResidencyConfig.ts";
import { EngineStartFailed } from "../../../../src/service/domain/errors.ts";
import type { Engine } from "../../../../src/service/engine/Engine.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { engineRequest } from "../../../support/engine-request.ts";
import { idleEngine } from "../../../support/idle-engine.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { residency } from "../../../support/residency.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { hold, lease, useBriefly } from "../../../support/model-in-use.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-residency-"));
  for (const name of ["a", "b", "c", "d"]) writeCheckpoint(join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const endless = idleEngine({ residentBytes: 700 });

interface Script extends Partial<ResidencySettings> {
  readonly log?: string[];
  readonly start?: Effect.Effect<Engine, EngineStartFailed>;
}

/** A machine whose date is set, while the test's clock goes on as before. */
const settableDate = () => {
  let aheadMs = 0;
  const clock = Effect.map(Clock.Clock, (ofTest): Clock.Clock => ({
    ...ofTest,
    currentTimeMillisUnsafe: () => ofTest.currentTimeMillisUnsafe() + aheadMs,
    monotonicTimeNanosUnsafe: () => ofTest.monotonicTimeNanosUnsafe(),
    sleep: (duration) => ofTest.sleep(duration),
  }));
  return { machine: Layer.effect(Clock.Clock, clock), setDate: (ms: number) => void (aheadMs = ms) };
};

/** Each engine's start and end is logged, `+a` and `-a`; never are there more than the limit. */
const pool = ({ log = [], start = Effect.succeed(endless), ...settings }: Script) => {
  let loaded = 0;
  const maxLoaded = settings.maxLoaded ?? 4;
  const engines = tokenEngines({
    start: ({ id }) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          loaded += 1;
          assert.isAtMost(loaded, maxLoaded);
          log.push(`+${id}`);
        }),
        () =>
          Effect.sync(() => {
            loaded -= 1;
            log.push(`-${id}`);
          }),
      ).pipe(Effect.andThen(start)),
  });
  // Reading files takes turns of the event loop, which no test clock moves: it is done before the test begins.
  const read = Effect.flatMap(Models, (models) => Effect.forEach(["a", "b", "c", "d"], models.use));
  return Layer.effectDiscard(read).pipe(
    Layer.provideMerge(ModelPool.layer),
    Layer.provide(Layer.succeed(Engines, engines)),
    Layer.provide([
      inlineSandbox,
      Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" }),
      residency(settings),
    ]),
  );
};

/** What a model takes: it has no caches, and 4,304 bytes of weights. */
const modelBytes = 256 * 1024 ** 2 + 4 * (268 * 4 + 4);

const waitFor = (name: string) =>
  Effect.forkChild(Effect.exit(Effect.scoped(lease(name))), {
    startImmediately: true,
  });

const stateOf = (name: string) =>
  Effect.map(
    Effect.flatMap(Models, (models) => models.get(name)),
    ({ state }) => state,
  );
const resident = Effect.flatMap(Models, (models) =>
  Effect.map(models.list, (all) => all.filter(({ reservedBytes }) => reservedBytes > 0).map(({ facts }) => facts.id)),
);

/** What was forked has run as far as it gets. */

const drained = { drainMs: 30_000, force: false };

describe("residency", () => {
  it.effect("lets the least recently used model go first", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      for (const name of ["a", "b", "a", "c", "a", "d"]) yield* useBriefly(name);
      assert.deepEqual(log, ["+a", "+b", "-b", "+c", "-c", "+d"]);
      assert.deepEqual(yield* resident, ["a", "d"]);
      const { loads, left, reservedBytes } = yield* (yield* Models).pool;
      assert.deepEqual([loads, left.eviction, reservedBytes], [4, 2, 2 * modelBytes]);
    }).pipe(Effect.provide(pool({ log, maxLoaded: 2 })));
  });

  it.effect("keeps to the memory budget, whatever the number of models", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      for (const name of ["a", "b", "c"]) yield* useBriefly(name);
      assert.deepEqual(log, ["+a", "+b", "-a", "+c"]);
    }).pipe(Effect.provide(pool({ log, budgetBytes: 3 * modelBytes - 1 })));
  });

  it.effect("refuses a model that is larger than the whole budget, and lets none go for it", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const models = yield* Models;
      const error = yield* Effect.flip(Effect.scoped(lease("a")));
      assert.deepInclude(error, { _tag: "ModelTooLarge", neededBytes: modelBytes, availableBytes: modelBytes - 1 });
      assert.equal(yield* stateOf("a"), "available");
      const fit = yield* models.fit("a");
      assert.deepInclude(fit, { fits: false, neededBytes: modelBytes, budgetBytes: modelBytes - 1 });
      assert.deepEqual(log, []);
    }).pipe(Effect.provide(pool({ log, budgetBytes: modelBytes - 1 })));
  });

  it.effect("never lets a pinned model go, and says so in numbers when pinned ones are all there is", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* models.load("a", { pinned: true, idleTtlMs: undefined });
      for (const name of ["b", "c"]) yield* useBriefly(name);
      assert.deepEqual(log, ["+a", "+b", "-b", "+c"]);
      yield* models.pin("c", true);
      const error = yield* Effect.flip(Effect.scoped(lease("d")));
      assert.deepInclude(error, { _tag: "ModelPoolFull", loadedModels: 2, maxLoadedModels: 2, waitedMs: 0 });
      yield* models.pin("a", false);
      yield* useBriefly("d");
      assert.deepEqual(yield* resident, ["c", "d"]);
    }).pipe(Effect.provide(pool({ log, maxLoaded: 2 })));
  });

  it.effect("waits until a model in use falls idle", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const { giveBack } = yield* hold("a");
      const waiting = yield* waitFor("b");
      yield* fibersRan;
      assert.equal(yield* stateOf("b"), "loading");
      assert.deepInclude(yield* (yield* Models).pool, { waiting: 1, loaded: 1 });
      yield* giveBack;
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(waiting)));
      assert.deepEqual(log, ["+a", "-a", "+b"]);
    }).pipe(Effect.provide(pool({ log, maxLoaded: 1 })));
  });

  it.effect("closes a model that is never idle to new tasks when another has waited for a second", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const first = yield* hold("a");
      const other = yield* waitFor("b");
      yield* fibersRan;
      const second = yield* hold("a");
      yield* TestClock.adjust(1_000);
      assert.equal(yield* stateOf("a"), "draining");
      const late = yield* waitFor("a");
      yield* first.giveBack;
      assert.deepEqual(log, ["+a"]);
      yield* second.giveBack;
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(other)));
      // Its turn comes again.
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(late)));
      assert.deepEqual(log, ["+a", "-a", "+b", "-b", "+a"]);
    }).pipe(Effect.provide(pool({ log, maxLoaded: 1 })));
  });

  it.effect("opens a model again when the one that waited for its room has left", () =>
    Effect.gen(function* () {
      const first = yield* hold("a");
      const other = yield* waitFor("b");
      yield* fibersRan;
      yield* TestClock.adjust(1_000);
      assert.equal(yield* stateOf("a"), "draining");
      const late = yield* waitFor("a");
      yield* Fiber.interrupt(other);
      yield* fibersRan;
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(late)));
      assert.equal(yield* stateOf("a"), "active");
      assert.equal(yield* stateOf("b"), "available");
      yield* first.giveBack;
    }).pipe(Effect.provide(pool({ maxLoaded: 1 }))),
  );

  it.effect("gives up after the wait that is configured, with the numbers", () =>
    Effect.gen(function* () {
      const { giveBack } = yield* hold("a");
      const waiting = yield* Effect.forkChild(Effect.flip(hold("b")), { startImmediately: true });
      yield* fibersRan;
      yield* TestClock.adjust(5_000);
      const error = yield* Fiber.join(waiting);
      assert.deepInclude(error, {
        _tag: "ModelPoolFull",
        neededBytes: modelBytes,
        availableBytes: 8 * 1024 ** 3 - modelBytes,
        loadedModels: 1,
        maxLoadedModels: 1,
        waitedMs: 5_000,
      });
      // What it asked for is taken back.
      assert.equal(yield* stateOf("a"), "active");
      yield* giveBack;
    }).pipe(Effect.provide(pool({ maxLoaded: 1, loadWaitMs: 5_000 }))),
  );

  it.effect("unloads a model that had no task for its time, and none before", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* useBriefly("a");
      yield* TestClock.adjust(59_000);
      yield* useBriefly("a");
      const { giveBack } = yield* hold("a");
      yield* TestClock.adjust(200_000);
      yield* giveBack;
      yield* TestClock.adjust(59_999);
      assert.deepEqual(log, ["+a"]);
      yield* TestClock.adjust(1);
      assert.deepEqual(log, ["+a", "-a"]);
      assert.equal(yield* stateOf("a"), "available");

      yield* models.load("b", { pinned: undefined, idleTtlMs: 1_000 });
      yield* models.load("c", { pinned: undefined, idleTtlMs: 0 });
      yield* models.load("d", { pinned: true, idleTtlMs: undefined });
      yield* TestClock.adjust(1_000_000);
      assert.deepEqual(log, ["+a", "-a", "+b", "+c", "+d", "-b"]);
      yield* models.pin("d", false);
      assert.deepEqual(log.at(-1), "-d");
      assert.equal((yield* models.pool).left.idle, 3);
    }).pipe(Effect.provide(pool({ log, idleTtlMs: 60_000 })));
  });

  it.effect("unloads nothing earlier because the machine's date is set forward", () => {
    const log: string[] = [];
    const { machine, setDate } = settableDate();
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* useBriefly("a");
      setDate(86_400_000);
      // It looks anew how long the model has been idle.
      yield* models.pin("a", false);
      yield* fibersRan;
      assert.deepEqual(log, ["+a"]);
      yield* TestClock.adjust(60_000);
      yield* fibersRan;
      assert.deepEqual(log, ["+a", "-a"]);
    }).pipe(Effect.provide(Layer.provide(pool({ log, idleTtlMs: 60_000 }), machine)));
  });

  it.effect("lets the least recently used model go first where the date was set back meanwhile", () => {
    const log: string[] = [];
    const { machine, setDate } = settableDate();
    return Effect.gen(function* () {
      setDate(86_400_000);
      for (const name of ["a", "b"]) {
        yield* useBriefly(name);
        yield* TestClock.adjust(1000);
      }
      setDate(0);
      for (const name of ["b", "c"]) yield* useBriefly(name);
      assert.deepEqual(log, ["+a", "+b", "-a", "+c"]);
    }).pipe(Effect.provide(Layer.provide(pool({ log, maxLoaded: 2 }), machine)));
  });

  it.effect("goes on serving while another model loads, and loads others beside it", () => {
    const log: string[] = [];
    const gate = Deferred.makeUnsafe<void>();
    const start = Effect.suspend(() => (log.at(-1) === "+b" ? Deferred.await(gate) : Effect.void));
    return Effect.gen(function* () {
      yield* useBriefly("a");
      const slow = yield* waitFor("b");
      yield* fibersRan;
      assert.equal(yield* stateOf("b"), "loading");
      yield* useBriefly("a");
      yield* useBriefly("c");
      assert.deepEqual(log, ["+a", "+b", "+c"]);
      yield* Deferred.succeed(gate, undefined);
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(slow)));
      assert.deepEqual(yield* resident, ["a", "b", "c"]);
    }).pipe(Effect.provide(pool({ log, start: Effect.as(start, endless) })));
  });

  it.effect("unloads by any name of a model, also with an engine before it", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      yield* useBriefly("a");
      assert.isTrue((yield* models.unload("local-mlx:A", drained)).unloaded);
      assert.isFalse((yield* models.unload("mlx:a", drained)).unloaded, "it is known and not loaded");
      assert.equal((yield* Effect.flip(models.unload("mlx:nope", drained)))._tag, "ModelNotFound");
    }).pipe(Effect.provide(pool({}))),
  );

  it.effect("cancels a load that nobody waits for any more", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const [one, two] = [yield* waitFor("a"), yield* waitFor("a")];
      yield* fibersRan;
      yield* Fiber.interrupt(one);
      assert.deepEqual(log, ["+a"]);
      yield* Fiber.interrupt(two);
      yield* fibersRan;
      assert.deepEqual(log, ["+a", "-a"]);
      assert.deepEqual(yield* resident, []);
      assert.equal(yield* stateOf("a"), "available");
    }).pipe(Effect.provide(pool({ log, start: Effect.never })));
  });

  it.effect("unloads when those who use it have finished, and loads anew for those who come", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const models = yield* Models;
      assert.deepEqual(yield* models.unload("a", drained), { unloaded: false, freedBytes: 0 });
      const { giveBack } = yield* hold("a");
      const unload = yield* Effect.forkChild(models.unload("a", drained), { startImmediately: true });
      yield* fibersRan;
      assert.equal(yield* stateOf("a"), "draining");
      const late = yield* waitFor("a");
      const load = yield* Effect.flip(models.load("a", { pinned: true, idleTtlMs: undefined }));
      assert.deepInclude(load, { _tag: "ModelOperationConflict", asked: "load", running: "unload" });
      assert.equal((yield* Effect.flip(models.pin("a", true)))._tag, "ModelOperationConflict");
      yield* giveBack;
      assert.deepEqual(yield* Fiber.join(unload), { unloaded: true, freedBytes: 700 });
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(late)));
      assert.deepEqual(log, ["+a", "-a", "+a"]);
    }).pipe(Effect.provide(pool({ log })));
  });

  for (const [how, options] of [
    ["at once where it is forced", { drainMs: 30_000, force: true }],
    ["when its time to finish is over", { drainMs: 2_000, force: false }],
  ] as const) {
    it.effect(`ends what a model that is unloaded still runs ${how}`, () =>
      Effect.gen(function* () {
        const models = yield* Models;
        const { engine, giveBack } = yield* hold("a");
        const running = yield* Effect.forkChild(Effect.flip(engine.generate(engineRequest("g"), () => {})), {
          startImmediately: true,
        });
        const unload = yield* Effect.forkChild(models.unload("a", options), { startImmediately: true });
        yield* fibersRan;
        if (!options.force) yield* TestClock.adjust(1_999);
        assert.equal(yield* stateOf("a"), options.force ? "available" : "draining");
        yield* TestClock.adjust(1);
        assert.deepInclude(yield* Fiber.join(running), { _tag: "ModelUnloaded", model: "a" });
        assert.isTrue((yield* Fiber.join(unload)).unloaded);
        yield* giveBack;
        yield* useBriefly("a");
        assert.equal(yield* stateOf("a"), "active");
      }).pipe(Effect.provide(pool({}))),
    );
  }

  it.effect("refuses to unload what is loading, unless it is forced: then the call that loads is told", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const load = models.load("a", { pinned: undefined, idleTtlMs: undefined });
      const loading = yield* Effect.forkChild(Effect.flip(load), { startImmediately: true });
      yield* fibersRan;
      const refused = yield* Effect.flip(models.unload("a", drained));
      assert.deepInclude(refused, { _tag: "ModelOperationConflict", asked: "unload", running: "load" });
      assert.isTrue((yield* models.unload("a", { drainMs: 0, force: true })).unloaded);
      assert.deepInclude(yield* Fiber.join(loading), { _tag: "ModelOperationConflict", asked: "load" });
      assert.deepEqual(yield* resident, []);
    }).pipe(Effect.provide(pool({ start: Effect.never }))),
  );

  it.effect("lets tasks wait that wait for a load that a call ends, and loads the model anew for them", () => {
    const log: string[] = [];
    let starts = 0;
    const start = Effect.suspend(() => ((starts += 1) === 1 ? Effect.never : Effect.succeed(endless)));
    return Effect.gen(function* () {
      const models = yield* Models;
      const tasks = yield* Effect.forEach([1, 2, 3], () => waitFor("a"));
      yield* fibersRan;
      assert.isTrue((yield* models.unload("a", { drainMs: 0, force: true })).unloaded);
      for (const task of tasks) assert.isTrue(Exit.isSuccess(yield* Fiber.join(task)));
      assert.deepEqual(log, ["+a", "-a", "+a"]);
      assert.equal(yield* stateOf("a"), "active");
    }).pipe(Effect.provide(pool({ log, start })));
  });

  it.effect("unloads all but pinned models, and tells which stayed", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      yield* models.load("a", { pinned: true, idleTtlMs: undefined });
      yield* useBriefly("b");
      yield* useBriefly("c");
      yield* models.pin("d", true);
      const all = yield* models.unloadAll({ ...drained, includePinned: false });
      assert.deepEqual(all, {
        unloaded: ["b", "c"],
        kept: [{ model: "a", reason: "it is pinned" }],
        freedBytes: 1400,
      });
      assert.deepEqual((yield* models.unloadAll({ ...drained, includePinned: true })).unloaded, ["a"]);
    }).pipe(Effect.provide(pool({}))),
  );

  it.effect("tells whether a model fits, whom it would evict and whom it would wait for", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      yield* useBriefly("a");
      const { giveBack } = yield* hold("b");
      assert.deepInclude(yield* models.fit("a"), { fits: true, loadedModels: 1, evict: [], waitFor: [] });
      const evicts = yield* models.fit("c");
      assert.deepInclude(evicts, { fits: true, loadedModels: 2, maxLoadedModels: 2, neededBytes: modelBytes });
      assert.deepEqual([evicts.evict, evicts.waitFor], [["a"], []]);
      assert.equal(evicts.availableBytes, 8 * 1024 ** 3 - 2 * modelBytes);
      const other = yield* hold("a");
      const waits = yield* models.fit("c");
      assert.deepEqual([waits.fits, waits.evict, waits.waitFor], [false, [], ["a"]]);
      yield* other.giveBack;
      yield* giveBack;
      assert.deepEqual(yield* resident, ["a", "b"]);
    }).pipe(Effect.provide(pool({ maxLoaded: 2 }))),
  );

  it.effect("gives a failed start's room back, and tries again at once when a call says so", () => {
    const log: string[] = [];
    const failing = Effect.fail(new EngineStartFailed({ model: "a", cause: "signal SIGKILL", retryAfterMs: 5_000 }));
    return Effect.gen(function* () {
      const models = yield* Models;
      const attempt = Effect.flip(models.load("a", { pinned: undefined, idleTtlMs: undefined }));
      assert.equal((yield* attempt)._tag, "EngineStartFailed");
      assert.deepEqual(yield* resident, []);
      assert.deepInclude(yield* models.get("a"), { state: "failed", stateReason: "signal SIGKILL" });
      yield* attempt;
      assert.deepEqual(log, ["+a", "-a", "+a", "-a"]);
      assert.deepInclude(yield* models.pool, { loads: 0, loadFailures: 2, reservedBytes: 0 });
    }).pipe(Effect.provide(pool({ log, start: failing })));
  });

  it.effect("ends loads that wait for room with the service", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const gate = yield* Deferred.make<void>();
      yield* Effect.gen(function* () {
        yield* hold("a");
        yield* waitFor("b");
        yield* fibersRan;
        yield* Deferred.succeed(gate, undefined);
      }).pipe(Effect.provide(pool({ log, maxLoaded: 1 })));
      yield* Deferred.await(gate);
      assert.deepEqual(log, ["+a", "-a"]);
    });
  });
});
