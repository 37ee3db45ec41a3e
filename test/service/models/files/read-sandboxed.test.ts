/**
 * Readings whose process is ended from outside, by the system for want of memory or by a person. Such a model stayed
 * MODEL_BROKEN until its files changed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber, Layer } from "effect";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { JobFailed } from "../../../../src/service/sandbox/JobFailed.ts";
import { type JobName, Sandbox } from "../../../../src/service/sandbox/Sandbox.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { idleEngine } from "../../../support/idle-engine.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { residency } from "../../../support/residency.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { lease } from "../../../support/model-in-use.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-unread-"));
  for (const id of ["a", "b"]) writeCheckpoint(join(folder, id));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface World {
  /** Jobs whose process is ended. */
  readonly killed: Set<JobName>;
  /** Folders that were read. */
  readonly read: string[];
  /** What the next readings wait for. */
  gate: Effect.Effect<void>;
}

const pool = (world: World) => {
  const sandbox = Layer.effect(
    Sandbox,
    Effect.map(Sandbox, ({ run }) =>
      Sandbox.of({
        run: (name, input, options) =>
          Effect.suspend(() => {
            if (name === "readCheckpoint") world.read.push(basename(input as string));
            const cause = "lost the process that does it: it was ended from outside, twice";
            return world.killed.has(name)
              ? Effect.fail(new JobFailed({ job: name, reason: "killed", cause }))
              : Effect.andThen(name === "readCheckpoint" ? world.gate : Effect.void, run(name, input, options));
          }),
      }),
    ),
  ).pipe(Layer.provide(inlineSandbox));
  const engines = Layer.succeed(Engines, tokenEngines({ start: () => Effect.succeed(idleEngine()) }));
  const models = Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" });
  return ModelPool.layer.pipe(Layer.provide([sandbox, engines, residency(), models]));
};
const worldWith = (...killed: ReadonlyArray<JobName>): World => ({
  killed: new Set(killed),
  read: [],
  gate: Effect.void,
});

describe("a model whose folder was not read to its end", () => {
  it.live("can be asked for again, and is read anew then", () => {
    const world = worldWith("readCheckpoint");
    return Effect.gen(function* () {
      const models = yield* Models;
      const lost = yield* Effect.flip(models.use("a"));
      assert.deepInclude(lost, { _tag: "SandboxLost", model: "a" });
      assert.include(lost.message, "ended from outside");
      assert.strictEqual((yield* Effect.flip(Effect.scoped(lease("b"))))._tag, "SandboxLost");
      world.killed.clear();
      assert.strictEqual((yield* models.use("a")).facts.id, "a");
      yield* Effect.scoped(lease("b"));
    }).pipe(Effect.provide(pool(world)));
  });

  it.live("is not broken either where its tokenizer was", () => {
    const world = worldWith("loadText");
    return Effect.gen(function* () {
      const models = yield* Models;
      assert.strictEqual((yield* Effect.flip(Effect.scoped(lease("a"))))._tag, "SandboxLost");
      assert.strictEqual((yield* models.get("a")).state, "available");
      world.killed.clear();
      yield* Effect.scoped(lease("a"));
    }).pipe(Effect.provide(pool(world)));
  });
});

describe("a call that notices changed files", () => {
  it.live("waits for that model's folder alone, and no longer than it wants to", () => {
    const world = worldWith();
    return Effect.gen(function* () {
      const models = yield* Models;
      assert.deepStrictEqual(world.read.splice(0).toSorted(), ["a", "b"]);
      writeCheckpoint(join(folder, "a"), { "generation_config.json": { temperature: 0.5 } });
      const gate = Deferred.makeUnsafe<void>();
      world.gate = Deferred.await(gate);
      const left = yield* Effect.forkChild(models.use("a"), { startImmediately: true });
      while (world.read.length === 0) yield* Effect.sleep("5 millis");
      yield* Fiber.interrupt(left);
      yield* Deferred.succeed(gate, undefined);
      const { facts } = yield* models.use("a");
      assert.strictEqual(facts.defaults.temperature, 0.5);
      assert.deepStrictEqual(world.read, ["a"]);
    }).pipe(Effect.provide(pool(world)));
  });
});
