import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Layer, Scope } from "effect";

import { Models } from "../../../../src/service/models/Models.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { configuredPool } from "../../../support/configured-pool.ts";
import { engineRequest } from "../../../support/engine-request.ts";
import { lease, modelNamed } from "../../../support/model-in-use.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-reload-"));
  for (const name of ["a", "b"]) write(name);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, changes: Record<string, unknown> = {}) =>
  writeCheckpoint(join(folder, "models", name), changes);
const say = (models: string) => writeFileSync(join(folder, "mlxd.yaml"), `service: {models: ./models}\n${models}`);

const pool = (log: string[]) => configuredPool(folder, log);

const statesNow = Effect.flatMap(Models, (models) =>
  Effect.map(models.list, (all) => Object.fromEntries(all.map(({ facts, state }) => [facts.id, state]))),
);

describe("a reload", () => {
  it.effect("tells what changed, and new defaults hold at once on the same engine", () => {
    const log: string[] = [];
    say("models: {a: {}}");
    return Effect.gen(function* () {
      const models = yield* Models;
      const first = yield* Effect.scoped(lease("a"));
      assert.deepEqual(yield* models.reload, { added: [], removed: [], changed: [] });
      write("c");
      rmSync(join(folder, "models/b"), { recursive: true });
      say("models: {a: {defaults: {temperature: 0.9}, aliases: [x], pinned: true}}");
      assert.deepEqual(yield* models.reload, { added: ["c"], removed: ["b"], changed: ["a"] });
      const { facts, lease: leaseAgain } = yield* modelNamed("x");
      assert.equal(facts.defaults.temperature, 0.9);
      assert.isTrue((yield* models.get("a")).pinned);
      assert.strictEqual(yield* Effect.scoped(leaseAgain()), first);
      assert.equal((yield* Effect.flip(models.get("b")))._tag, "ModelNotFound");
      assert.deepEqual(log, ["start a"]);
    }).pipe(Effect.provide(pool(log)));
  });

  it.effect("changes nothing where the file is broken, whatever is wrong with it", () => {
    say("models: {a: {aliases: [x]}}");
    return Effect.gen(function* () {
      const models = yield* Models;
      const before = yield* models.list;
      for (const [text, line, key] of [
        ["models:\n  a: {aliases: [y]}\n  b: {pined: true}\n", 4, "models.b.pined"],
        ["models:\n  a: {aliases: [y, b]}\n", 3, "models.a.aliases[1]"],
        ["models: {", 2, ""],
      ] as const) {
        say(text);
        assert.deepInclude(yield* Effect.flip(models.reload), { _tag: "ConfigurationInvalid", line, key });
      }
      writeFileSync(join(folder, "mlxd.yaml"), "service:\n  models: ./models\n  default_model: gone\n");
      assert.deepInclude(yield* Effect.flip(models.reload), { line: 3, key: "service.default_model" });
      say("");
      renameSync(join(folder, "models"), join(folder, "away"));
      assert.deepInclude(yield* Effect.flip(models.reload), { line: 1, key: "service.models" });
      assert.deepEqual(yield* models.list, before);
    }).pipe(Effect.provide(pool([])));
  });

  it.effect("and a start name the setting of a default model that is not there", () => {
    writeFileSync(join(folder, "mlxd.yaml"), "service:\n  models: ./models\n  default_model: gone\n");
    const start = Effect.flip(Effect.scoped(Layer.build(configuredPool(folder, []))));
    const startOfVariable = Effect.flip(
      Effect.scoped(Layer.build(configuredPool(folder, [], {}, {}, { MLXD_DEFAULT_MODEL: "lost" }))),
    );
    return Effect.gen(function* () {
      assert.deepInclude(yield* start, { _tag: "ConfigurationInvalid", line: 3, key: "service.default_model" });
      const ofVariable = { file: "", key: "MLXD_DEFAULT_MODEL" };
      assert.deepInclude(yield* startOfVariable, { _tag: "ConfigurationInvalid", ...ofVariable });
    });
  });

  it.effect("lets a model that is gone finish what runs, and then ends its engine", () => {
    const log: string[] = [];
    say("");
    return Effect.gen(function* () {
      const models = yield* Models;
      const known = yield* modelNamed("b");
      const running = yield* Scope.make();
      yield* Scope.provide(known.lease(), running);
      rmSync(join(folder, "models/b"), { recursive: true });
      yield* models.reload;
      assert.equal((yield* Effect.flip(models.use("b")))._tag, "ModelNotFound");
      assert.deepEqual(yield* statesNow, { a: "available", b: "draining" });
      // One that was queued when the model went.
      yield* Effect.scoped(known.lease());
      assert.deepEqual(log, ["start b"]);
      yield* Scope.close(running, Exit.void);
      assert.deepEqual(log, ["start b", "stop b"]);
      assert.deepEqual(yield* statesNow, { a: "available" });
      // One that tokenised its prompt before the model went, and comes when its engine has ended.
      yield* Effect.scoped(known.lease());
      assert.deepEqual(log, ["start b", "stop b", "start b", "stop b"]);
    }).pipe(Effect.provide(pool(log)));
  });

  it.effect("ends what a model that is gone still runs where a call says so", () => {
    const log: string[] = [];
    say("models: {b: {pinned: true}}");
    return Effect.gen(function* () {
      const models = yield* Models;
      const running = yield* Scope.make();
      const engine = yield* Scope.provide(lease("b"), running);
      const run = yield* Effect.forkChild(Effect.flip(engine.generate(engineRequest("g"), () => {})), {
        startImmediately: true,
      });
      rmSync(join(folder, "models/b"), { recursive: true });
      say("");
      yield* models.reload;
      assert.deepEqual(yield* statesNow, { a: "available", b: "draining" });
      assert.isTrue((yield* models.unload("b", { drainMs: 0, force: true })).unloaded);
      assert.equal((yield* Fiber.join(run))._tag, "ModelUnloaded");
      yield* Scope.close(running, Exit.void);
      assert.deepEqual(log, ["start b", "stop b"]);
    }).pipe(Effect.provide(pool(log)));
  });

  it.effect("gives a name's new model to new calls, and the old one to those that had it", () => {
    const log: string[] = [];
    say("models: {x: {path: models/a}}");
    return Effect.gen(function* () {
      const models = yield* Models;
      const old = yield* modelNamed("x");
      const running = yield* Scope.make();
      const first = yield* Scope.provide(old.lease(), running);
      say("models: {x: {path: models/b}}");
      assert.deepEqual(yield* models.reload, { added: ["a"], removed: ["b"], changed: ["x"] });
      const now = yield* modelNamed("x");
      assert.notEqual(now.facts.directory, old.facts.directory);
      const second = yield* Effect.scoped(now.lease());
      assert.notStrictEqual(second, first);
      assert.strictEqual(yield* Effect.scoped(old.lease()), first);
      assert.deepEqual(yield* statesNow, { x: "active", a: "available" });
      yield* Scope.close(running, Exit.void);
      assert.deepEqual(log, ["start x", "start x", "stop x"]);
    }).pipe(Effect.provide(pool(log)));
  });

  it.effect("mends a model whose files were mended", () => {
    say("");
    write("b", { "config.json": undefined });
    rmSync(join(folder, "models/b/config.json"), { force: true });
    return Effect.gen(function* () {
      const models = yield* Models;
      assert.equal((yield* models.get("b")).state, "failed");
      write("b");
      assert.deepEqual(yield* models.reload, { added: [], removed: [], changed: ["b"] });
      assert.equal((yield* models.get("b")).state, "available");
    }).pipe(Effect.provide(pool([])));
  });

  it.effect("tells a folder that is not there from broken files, and takes it once it is there", () => {
    say("models: {gone: {path: models/gone}}");
    rmSync(join(folder, "models/b/config.json"));
    return Effect.gen(function* () {
      const models = yield* Models;
      for (const [name, tag, reason] of [
        ["gone", "ModelFilesMissing", "its folder is not in the model folder"],
        ["b", "ModelBroken", "config.json is missing"],
      ] as const) {
        assert.equal((yield* Effect.flip(Effect.scoped(lease(name))))._tag, tag);
        assert.equal((yield* Effect.flip(models.use(name)))._tag, tag);
        const { state, stateReason } = yield* models.get(name);
        assert.equal(state, "failed");
        assert.include(stateReason, reason);
      }
      write("gone");
      yield* Effect.scoped(lease("gone"));
    }).pipe(Effect.provide(pool([])));
  });

  it.effect("takes the new default model", () => {
    say("");
    return Effect.gen(function* () {
      const models = yield* Models;
      assert.equal((yield* models.get("")).facts.id, "a");
      writeFileSync(join(folder, "mlxd.yaml"), "service: {models: ./models, default_model: B}");
      yield* models.reload;
      assert.equal((yield* models.get("")).facts.id, "b");
      assert.isTrue((yield* models.get("b")).isDefault);
    }).pipe(Effect.provide(pool([])));
  });
});
