/** Models whose processes take more memory than was reserved for them: the budget holds all the same. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer } from "effect";
import { TestClock } from "effect/testing";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import type { ResidencySettings } from "../../../../src/service/config/ResidencyConfig.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { idleEngine } from "../../../support/idle-engine.ts";
import { residency } from "../../../support/residency.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { hold, lease, useBriefly } from "../../../support/model-in-use.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-outgrown-"));
  for (const name of ["a", "b", "c"]) writeCheckpoint(join(folder, name));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What is reserved for each: it has no caches, and 4,304 bytes of weights. */
const modelBytes = 256 * 1024 ** 2 + 4 * (268 * 4 + 4);

/** Engines whose processes take what a test says, by model. */
const create = (settings: Partial<ResidencySettings>) => {
  const resident: Record<string, number> = {};
  const log: string[] = [];
  const engines = tokenEngines({
    start: ({ id }) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          log.push(`+${id}`);
          return {
            ...idleEngine(),
            status: Effect.map(idleEngine().status, (status) => ({ ...status, residentBytes: resident[id] ?? 1000 })),
          };
        }),
        () => Effect.sync(() => log.push(`-${id}`)),
      ),
  });
  const read = Effect.flatMap(Models, (models) => Effect.forEach(["a", "b", "c"], models.use));
  const layer = Layer.effectDiscard(read).pipe(
    Layer.provideMerge(ModelPool.layer),
    Layer.provide([
      Layer.succeed(Engines, engines),
      Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" }),
      residency(settings),
      inlineSandbox,
    ]),
  );
  return { resident, log, layer };
};

const measured = Effect.andThen(TestClock.adjust("1 second"), fibersRan);
const reserved = Effect.flatMap(Models, (models) => Effect.map(models.pool, ({ reservedBytes }) => reservedBytes));

describe("a model that outgrows what was reserved for it", () => {
  it.effect("takes the rest of the budget openly, and gives it back", () => {
    const { resident, layer } = create({ budgetBytes: 4 * modelBytes });
    return Effect.gen(function* () {
      yield* hold("a");
      resident["a"] = 2 * modelBytes;
      yield* measured;
      assert.equal(yield* reserved, 2 * modelBytes);
      assert.equal((yield* (yield* Models).get("a")).reservedBytes, 2 * modelBytes);
      resident["a"] = 1000;
      yield* measured;
      assert.equal(yield* reserved, modelBytes);
    }).pipe(Effect.provide(layer));
  });

  it.effect("lets idle ones make way, those that were used longest ago, and no more than it takes", () => {
    const { resident, log, layer } = create({ budgetBytes: 3 * modelBytes });
    return Effect.gen(function* () {
      for (const name of ["b", "c"]) yield* useBriefly(name);
      yield* hold("a");
      resident["a"] = modelBytes + 50;
      yield* measured;
      assert.deepEqual(log, ["+b", "+c", "+a", "-b"]);
      assert.isAtMost(yield* reserved, 3 * modelBytes);
      // It begins more: there is room.
      yield* useBriefly("a");
    }).pipe(Effect.provide(layer));
  });

  it.effect("is given nothing more where nobody can make way, and is started anew once it is idle", () => {
    const { resident, log, layer } = create({ budgetBytes: 2 * modelBytes });
    return Effect.gen(function* () {
      const { giveBack: release } = yield* hold("a");
      const { giveBack: busy } = yield* hold("b");
      resident["a"] = modelBytes + 50;
      yield* measured;
      const refused = yield* Effect.flip(Effect.scoped(lease("a")));
      assert.deepInclude(refused, {
        _tag: "MemoryBudgetExceeded",
        model: "a",
        residentBytes: modelBytes + 50,
        reservedBytes: modelBytes,
        budgetBytes: 2 * modelBytes,
      });
      // The other one keeps to its part, and nothing is refused there.
      yield* useBriefly("b");
      assert.deepEqual(log, ["+a", "+b"], "what runs is not ended");
      yield* release;
      yield* fibersRan;
      assert.deepEqual(log, ["+a", "+b", "-a"]);
      yield* busy;
      // What it came to need is reserved from the start now: the idle one goes for it.
      resident["a"] = 1000;
      yield* useBriefly("a");
      assert.deepEqual(log, ["+a", "+b", "-a", "-b", "+a"]);
      assert.equal(yield* reserved, modelBytes + 50);
    }).pipe(Effect.provide(layer));
  });

  it.effect("is started anew when it is idle, though it is pinned, and makes no other pinned one go", () => {
    const { resident, log, layer } = create({ budgetBytes: 2 * modelBytes });
    return Effect.gen(function* () {
      const models = yield* Models;
      for (const name of ["a", "b"]) yield* models.load(name, { pinned: true, idleTtlMs: undefined });
      const { giveBack: release } = yield* hold("a");
      resident["a"] = 2 * modelBytes;
      yield* measured;
      assert.deepEqual(log, ["+a", "+b"]);
      assert.equal((yield* Effect.flip(Effect.scoped(lease("a"))))._tag, "MemoryBudgetExceeded");
      yield* release;
      yield* fibersRan;
      assert.deepEqual(log, ["+a", "+b", "-a"]);
    }).pipe(Effect.provide(layer));
  });

  it.effect("while loads wait keeps their turn: they get its room when it goes", () => {
    const { resident, log, layer } = create({ budgetBytes: 2 * modelBytes, loadWaitMs: 600_000 });
    return Effect.gen(function* () {
      const { giveBack: release } = yield* hold("a");
      resident["a"] = 2 * modelBytes;
      yield* measured;
      yield* Effect.forkChild(useBriefly("b"), { startImmediately: true });
      yield* measured;
      assert.deepEqual(log, ["+a"]);
      yield* release;
      yield* measured;
      assert.deepEqual(log, ["+a", "-a", "+b"]);
    }).pipe(Effect.provide(layer));
  });
});

describe("a model that is larger than its files tell", () => {
  it.effect("is refused where it does not fit the budget, as too large, with what it needs", () => {
    const { resident, log, layer } = create({ budgetBytes: 2 * modelBytes });
    return Effect.gen(function* () {
      const models = yield* Models;
      resident["a"] = 3 * modelBytes;
      const error = yield* Effect.flip(Effect.scoped(lease("a")));
      assert.deepInclude(error, { _tag: "ModelTooLarge", neededBytes: 3 * modelBytes, availableBytes: 2 * modelBytes });
      assert.deepEqual(log, ["+a", "-a"]);
      assert.equal(yield* reserved, 0);
      assert.deepInclude(yield* models.fit("a"), { fits: false, neededBytes: 3 * modelBytes });
    }).pipe(Effect.provide(layer));
  });

  it.effect("takes the room of idle ones, and waits for others the next time", () => {
    const { resident, log, layer } = create({ budgetBytes: 3 * modelBytes });
    return Effect.gen(function* () {
      resident["a"] = 2 * modelBytes;
      yield* useBriefly("b");
      const { giveBack: busy } = yield* hold("c");
      yield* useBriefly("a");
      assert.deepEqual(log, ["+b", "+c", "+a", "-b"]);
      assert.equal(yield* reserved, 3 * modelBytes);
      yield* busy;
      yield* useBriefly("b");
      const inUse = [yield* hold("b"), yield* hold("c")];
      const waiting = yield* Effect.forkChild(Effect.flip(Effect.scoped(lease("a"))), {
        startImmediately: true,
      });
      yield* TestClock.adjust("2 minutes");
      const error = yield* Fiber.join(waiting);
      assert.equal(error._tag, "ModelPoolFull");
      for (const { giveBack } of inUse) yield* giveBack;
    }).pipe(Effect.provide(layer));
  });
});
