import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect";
import { TestClock } from "effect/testing";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import { ModelBroken } from "../../../../src/service/domain/errors.ts";
import type { Engine } from "../../../../src/service/engine/Engine.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import { familyProfile } from "../../../../src/service/models/catalog/families.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { idleEngine } from "../../../support/idle-engine.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { residency } from "../../../support/residency.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { lease, modelNamed } from "../../../support/model-in-use.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-pool-"));
  writeCheckpoint(join(folder, "a-broken"), { "model.safetensors": undefined });
  writeCheckpoint(join(folder, "org--Qwen3-4bit"));
  writeCheckpoint(join(folder, "phi-4"), { "tokenizer_config.json": { chat_template: "{% if %}" } });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const idle = idleEngine({ residentBytes: 100, kvCacheBytes: 20, restarts: 3 });

/** Engines that log when they start and stop; `start` decides how a start goes. */
const engines = (log: string[], start: Effect.Effect<Engine, ModelBroken> = Effect.succeed(idle)) =>
  Layer.succeed(
    Engines,
    tokenEngines({
      start: ({ id }, vocabulary) =>
        Effect.acquireRelease(
          Effect.sync(() => log.push(`start ${id} ${vocabulary.size}`)),
          () => Effect.sync(() => log.push(`stop ${id}`)),
        ).pipe(Effect.andThen(start)),
    }),
  );

const pool = (log: string[], start?: Effect.Effect<Engine, ModelBroken>, defaultModel = "") =>
  ModelPool.layer.pipe(
    Layer.provide(engines(log, start)),
    Layer.provide([inlineSandbox, Layer.succeed(ModelsConfig, { directory: folder, defaultModel }), residency()]),
  );

const qwen = "org--Qwen3-4bit";
const failing = Effect.fail(new ModelBroken({ model: qwen, cause: "tensor x is missing" }));
const leaseOnce = (name: string) => Effect.scoped(lease(name));
const statusOf = (name: string) => Effect.flatMap(Models, (models) => models.get(name));

describe("the model pool", () => {
  it.effect("lists the catalog, with the first usable model as the default", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const list = yield* models.list;
      assert.deepEqual(
        list.map(({ facts, state, stateReason, isDefault }) => [facts.id, state, stateReason, isDefault]),
        [
          ["a-broken", "failed", "model.safetensors is missing", false],
          [qwen, "available", "", true],
          ["phi-4", "available", "", false],
        ],
      );
      const empty = yield* models.get("");
      const byAlias = yield* models.get(" QWEN3\n");
      const blank = yield* models.get(" \n");
      assert.deepEqual([empty.facts.id, byAlias.facts.id, blank.facts.id], [qwen, qwen, qwen]);
    }).pipe(Effect.provide(pool([]))),
  );

  it.effect("takes the default model that is configured, by any of its names", () =>
    Effect.gen(function* () {
      assert.equal((yield* statusOf("")).facts.id, "phi-4");
      assert.isTrue((yield* statusOf("phi-4")).isDefault);
    }).pipe(Effect.provide(pool([], undefined, "PHI-4"))),
  );

  it.effect("takes in models that came later, and those that were mended, without touching the others", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const log: Array<ReadonlyArray<string>> = [];
      const changes = yield* Effect.forkChild(
        Stream.runForEach(models.changes, (states) => Effect.sync(() => log.push([...states.keys()]))),
      );
      yield* leaseOnce(qwen);
      writeCheckpoint(join(folder, "org--new"));
      writeCheckpoint(join(folder, "a-broken"));
      yield* models.rescan;
      yield* models.rescan;
      assert.deepEqual(
        (yield* models.list).map(({ facts, state, isDefault }) => [facts.id, state, isDefault]),
        [
          ["a-broken", "available", false],
          [qwen, "active", true],
          ["org--new", "available", false],
          ["phi-4", "available", false],
        ],
      );
      yield* leaseOnce("org/new");
      yield* leaseOnce("a-broken");
      yield* models.use("a-broken");
      yield* Effect.yieldNow;
      assert.deepEqual(log.at(-1), ["a-broken", qwen, "org--new", "phi-4"]);
      yield* Fiber.interrupt(changes);
    }).pipe(
      Effect.provide(pool([])),
      Effect.ensuring(
        Effect.sync(() => {
          rmSync(join(folder, "org--new"), { recursive: true });
          rmSync(join(folder, "a-broken", "model.safetensors"));
        }),
      ),
    ),
  );

  it.effect("does not start with a default model that it does not have, or without a folder", () =>
    Effect.gen(function* () {
      const unknown = yield* Effect.flip(Effect.scoped(Layer.build(pool([], undefined, "gone"))));
      assert.deepInclude(unknown, { _tag: "ConfigurationInvalid", key: "MLXD_DEFAULT_MODEL" });
      const nowhere = ModelPool.layer.pipe(
        Layer.provide(engines([])),
        Layer.provide([
          inlineSandbox,
          Layer.succeed(ModelsConfig, { directory: join(folder, "nowhere"), defaultModel: "" }),
          residency(),
        ]),
      );
      const unreadable = yield* Effect.flip(Effect.scoped(Layer.build(nowhere)));
      assert.equal(unreadable._tag, "CatalogUnreadable");
    }),
  );

  it.effect("tells an unknown name's nearest", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(leaseOnce("qwen4"));
      assert.deepInclude(error, { _tag: "ModelNotFound", model: "qwen4", nearest: [qwen] });
    }).pipe(Effect.provide(pool([]))),
  );

  it.effect("starts one engine for a hundred first leases, and keeps it until the service ends", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      yield* Effect.gen(function* () {
        const leases = Effect.all(
          Array.from({ length: 100 }, () => leaseOnce(qwen)),
          { concurrency: "unbounded" },
        );
        const gained = yield* leases;
        assert.isTrue(gained.every((engine) => engine.status === idle.status));
        yield* leaseOnce("qwen3");
        assert.deepEqual(log, [`start ${qwen} 268`]);
      }).pipe(Effect.provide(pool(log)));
      assert.deepEqual(log, [`start ${qwen} 268`, `stop ${qwen}`]);
    });
  });

  it.effect("goes on starting when the first caller leaves and another waits", () => {
    const log: string[] = [];
    const gate = Deferred.makeUnsafe<void>();
    return Effect.gen(function* () {
      const first = yield* Effect.forkChild(leaseOnce(qwen), { startImmediately: true });
      const second = yield* Effect.forkChild(leaseOnce(qwen), { startImmediately: true });
      yield* untilState(qwen, "loading");
      yield* Fiber.interrupt(first);
      yield* Deferred.succeed(gate, undefined);
      assert.equal((yield* Fiber.join(second)).status, idle.status);
      assert.lengthOf(log, 1);
    }).pipe(Effect.provide(pool(log, Effect.as(Deferred.await(gate), idle))));
  });

  it.effect("ends a start that is under way when the service ends", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const scope = yield* Scope.make();
      const context = yield* Layer.buildWithScope(pool(log, Effect.never), scope);
      const waiting = yield* Effect.forkChild(Effect.exit(Effect.provide(leaseOnce(qwen), context)));
      yield* Effect.provide(untilState(qwen, "loading"), context);
      yield* untilLogged(log, 1);
      yield* Scope.close(scope, Exit.void);
      assert.isTrue(Exit.isFailure(yield* Fiber.join(waiting)));
      assert.deepEqual(log, [`start ${qwen} 268`, `stop ${qwen}`]);
    });
  });

  it.effect("tells a failed start's reason to all who wait, and tries again after some seconds", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const both = yield* Effect.all([Effect.flip(leaseOnce(qwen)), Effect.flip(leaseOnce(qwen))], { concurrency: 2 });
      assert.isTrue(both.every((error) => error._tag === "ModelBroken" && error.cause === "tensor x is missing"));
      const { state, stateReason } = yield* statusOf(qwen);
      assert.deepEqual([state, stateReason], ["failed", "tensor x is missing"]);

      yield* TestClock.adjust(4_000);
      yield* Effect.flip(leaseOnce(qwen));
      assert.deepEqual(log, [`start ${qwen} 268`, `stop ${qwen}`]);

      yield* TestClock.adjust(2_000);
      yield* Effect.flip(leaseOnce(qwen));
      assert.lengthOf(log, 4);
    }).pipe(Effect.provide(pool(log, failing)));
  });

  it.effect("survives a start that breaks in an unforeseen way", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(leaseOnce(qwen));
      assert.isTrue(Exit.hasDies(exit));
      const { state, stateReason } = yield* statusOf(qwen);
      assert.deepEqual([state, stateReason], ["failed", "its start failed in an unforeseen way"]);
    }).pipe(Effect.provide(pool([], Effect.die(new Error("a bug"))))),
  );

  it.effect("tells memory and times of a loaded model", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust(1_000);
      yield* leaseOnce(qwen);
      yield* TestClock.adjust(500);
      yield* leaseOnce(qwen);
      const { facts: _, files: _files, ...status } = yield* statusOf(qwen);
      assert.deepEqual(status, {
        isDefault: true,
        state: "active",
        stateReason: "",
        profile: familyProfile("qwen"),
        useCount: 2,
        users: 0,
        backend: undefined,
        download: undefined,
        pinned: false,
        idleTtlMs: 0,
        reservedBytes: status.reservedBytes,
        loadedAt: 1_000,
        lastUsedAt: 1_500,
        residentBytes: 100,
        kvCacheBytes: 20,
        prefixCacheBytes: 0,
        mlxActiveBytes: 0,
        mlxCacheBytes: 0,
        mlxPeakBytes: 0,
        engineRestarts: 3,
      });
      const other = yield* statusOf("phi-4");
      assert.deepInclude(other, { loadedAt: undefined, lastUsedAt: undefined, residentBytes: 0 });
    }).pipe(Effect.provide(pool([]))),
  );

  it.effect("publishes the states, as they are and as they change", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const seen = yield* models.changes.pipe(
        Stream.map((conditions) => conditions.get(qwen)?.state),
        Stream.takeUntil((state) => state === "active"),
        Stream.runCollect,
        Effect.forkChild({ startImmediately: true }),
      );
      yield* leaseOnce(qwen);
      assert.deepEqual([...(yield* Fiber.join(seen))], ["available", "loading", "active"]);
    }).pipe(Effect.provide(pool([]))),
  );

  it.effect("preloads what can be loaded and reports on each", () => {
    const log: string[] = [];
    return Effect.gen(function* () {
      const models = yield* Models;
      const reports = yield* models.preload(["gone", "qwen3", "a-broken", "phi-4"]);
      assert.deepEqual(
        reports.map(({ name, error }) => [name, error?._tag]),
        [
          ["gone", "ModelNotFound"],
          ["qwen3", undefined],
          ["a-broken", "ModelBroken"],
          ["phi-4", "ModelBroken"],
        ],
      );
      assert.deepEqual(log, [`start ${qwen} 268`]);
    }).pipe(Effect.provide(pool(log)));
  });

  it.effect("reads a model's prompt tools once", () =>
    Effect.gen(function* () {
      const [one, two] = yield* Effect.all(["", "qwen3"].map(modelNamed), { concurrency: 2 });
      assert(one !== undefined && two !== undefined);
      assert.strictEqual(one.texts, two.texts);
      assert.equal(one.facts.id, qwen);
      const options = { field: "prompt", addSpecialTokens: false, truncate: false, limit: 10 };
      const [encoded] = yield* one.texts.encode(["hello"], options);
      assert.deepEqual(encoded, { tokenIds: Uint32Array.of(259), truncated: false });
    }).pipe(Effect.provide(pool([]))),
  );

  it.effect("tells by file why prompt tools cannot be had", () =>
    Effect.gen(function* () {
      const models = yield* Models;
      const broken = yield* Effect.flip(models.use("phi-4"));
      assert.include(broken.message, 'model "phi-4" cannot be used: tokenizer_config.json cannot be used: ');
      const missing = yield* Effect.flip(models.use("a-broken"));
      assert.include(missing.message, "model.safetensors is missing");
    }).pipe(Effect.provide(pool([]))),
  );
});

const untilState = (name: string, wanted: string) =>
  Effect.flatMap(Models, (models) =>
    models.changes.pipe(
      Stream.takeUntil((states) => states.get(name)?.state === wanted),
      Stream.runDrain,
    ),
  );

/** Reading files takes turns of the event loop, which no test clock moves. */
const untilLogged = (log: readonly string[], lines: number): Effect.Effect<void> =>
  Effect.suspend(() => (log.length >= lines ? Effect.void : Effect.andThen(nextTurn, untilLogged(log, lines))));
const nextTurn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)));
