/** What mlxd.yaml says of how models are kept in memory. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { TestClock } from "effect/testing";

import { Models } from "../../../../src/service/models/Models.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { configuredPool } from "../../../support/configured-pool.ts";
import { lease } from "../../../support/model-in-use.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-policy-"));
  for (const name of ["a", "b", "c", "d"]) writeCheckpoint(join(folder, "models", name));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const say = (models: string) => writeFileSync(join(folder, "mlxd.yaml"), `service: {models: ./models}\n${models}`);

const use = (...names: ReadonlyArray<string>) =>
  Effect.forEach(names, (name) =>
    Effect.gen(function* () {
      yield* TestClock.adjust(10);
      yield* Effect.scoped(lease(name));
    }),
  );

const asItIs = { pinned: undefined, idleTtlMs: undefined };

describe("the policy of a model", () => {
  it.effect("lets lower priorities go first, among equals the least recently used, and never a pinned one", () => {
    const log: string[] = [];
    say("models: {a: {pinned: true, priority: -100}, b: {priority: 5}, c: {priority: -5}}");
    return Effect.gen(function* () {
      yield* use("a", "b", "c", "d");
      assert.deepEqual(log.splice(0), ["start a", "start b", "start c", "stop c", "start d"]);
      yield* use("b", "d", "c");
      assert.deepEqual(log.splice(0), ["stop d", "start c"]);
      say("models: {a: {pinned: true, priority: -100}}");
      yield* (yield* Models).reload;
      yield* use("d");
      assert.deepEqual(log, ["stop b", "start d"]);
      const models = yield* (yield* Models).list;
      assert.deepEqual(
        models.map(({ pinned }) => pinned),
        [true, false, false, false],
      );
    }).pipe(Effect.provide(configuredPool(folder, log, { maxLoaded: 3 })));
  });

  it.effect("unloads a model after its own time without a task, and others after the service's", () => {
    const log: string[] = [];
    say("models: {a: {ttl: 30s}, b: {ttl: 2h}, c: {ttl: 30s, pinned: true}}");
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* use("a", "b", "c", "d");
      assert.deepEqual(
        (yield* models.list).map(({ idleTtlMs }) => idleTtlMs),
        [30_000, 7_200_000, 30_000, 60_000],
      );
      log.length = 0;
      yield* TestClock.adjust("30 seconds");
      assert.deepEqual(log, ["stop a"]);
      yield* TestClock.adjust("30 seconds");
      assert.deepEqual(log, ["stop a", "stop d"]);
      yield* TestClock.adjust("2 hours");
      assert.deepEqual(log, ["stop a", "stop d", "stop b"]);
    }).pipe(Effect.provide(configuredPool(folder, log, { idleTtlMs: 60_000 })));
  });

  it.effect("that a reload changes holds at once, and what it leaves alone stays as a call said", () => {
    const log: string[] = [];
    say("models: {a: {pinned: true}, b: {}}");
    return Effect.gen(function* () {
      const models = yield* Models;
      yield* use("a", "b");
      yield* models.pin("b", true);
      yield* models.load("a", { ...asItIs, idleTtlMs: 5_000 });
      say("models: {a: {pinned: true, aliases: [x]}, b: {ttl: 20s}}");
      yield* models.reload;
      const [a, b] = yield* models.list;
      assert.deepInclude(a, { pinned: true, idleTtlMs: 5_000 });
      assert.deepInclude(b, { pinned: true, idleTtlMs: 20_000 });
      say("models: {b: {ttl: 20s}}");
      yield* models.reload;
      yield* TestClock.adjust("1 hour");
      assert.deepEqual(log, ["start a", "start b", "stop a"]);
    }).pipe(Effect.provide(configuredPool(folder, log)));
  });
});
