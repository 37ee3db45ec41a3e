/** Models whose servers this service starts: what they take counts, as that of its own engines does. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber, Layer, Scope } from "effect";
import { TestClock } from "effect/testing";

import { type EngineStatus, noMemory } from "../../../../src/service/engine/EngineStatus.ts";
import type { ConversationDriver, StartStage } from "../../../../src/service/engine/Engines.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { capturedLog } from "../../../support/captured-log.ts";
import { configuredPool } from "../../../support/configured-pool.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { makeScriptedConversations, scriptedDriver } from "../../../support/scripted-conversations.ts";

const gibibyte = 1024 ** 3;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-managed-models-"));
  mkdirSync(join(folder, "models"));
  writeFileSync(
    join(folder, "mlxd.yaml"),
    `
service: { models: models }
backends:
  lm: { engine: mlx_lm_server, managed: true }
models:
  one: { backend: lm, model: org/one, context_length: 4096, memory_bytes: ${3 * gibibyte} }
  two: { backend: lm, model: org/two, context_length: 4096, memory_bytes: ${3 * gibibyte}, ttl: 10s }
  small: { backend: lm, model: org/small, context_length: 4096 }
  huge: { backend: lm, model: org/huge, context_length: 4096, memory_bytes: ${5 * gibibyte} }
  remote: { engine: ollama, model: far, context_length: 4096 }
`,
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

const withPool = <A, E>(test: (log: string[], taken: { bytes: number }) => Effect.Effect<A, E, Models>) =>
  Effect.suspend(() => {
    const log: string[] = [];
    const taken = { bytes: 0 };
    const status: Effect.Effect<EngineStatus> = Effect.sync(() => ({
      ...noMemory,
      residentBytes: taken.bytes,
      device: undefined,
      backend: undefined,
      restarts: 0,
    }));
    const scripted = scriptedDriver({ ...makeScriptedConversations({ promptTokens: 1, pieces: [] }), status }, log);
    const driver: ConversationDriver = {
      ...scripted,
      start: (model, backend, onStage) =>
        Effect.andThen(
          Effect.forEach(["server-starting", "model-serving", "model-loading"] as const, onStage),
          scripted.start(model, backend, onStage),
        ),
    };
    const pool = configuredPool(
      folder,
      log,
      { budgetBytes: 4 * gibibyte, maxLoaded: 8 },
      {
        mlx_lm_server: driver,
        ollama: {
          ...scripted,
          fetch: (_model, _backend, onProgress) =>
            Effect.sync(() => {
              for (const bytesDone of [1, 2]) onProgress({ bytesDone, bytesTotal: 2, filesDone: 0, filesTotal: 1 });
              return true;
            }),
        },
      },
    );
    return test(log, taken).pipe(Effect.provide(Layer.merge(pool, capturedLog([]))));
  });

const load = (name: string) =>
  Effect.flatMap(Models, (models) => models.load(name, { pinned: undefined, idleTtlMs: undefined }));

describe("models whose servers are started here", () => {
  it.effect("take of the memory budget, and make way for one another", () =>
    withPool((log) =>
      Effect.gen(function* () {
        const models = yield* Models;
        assert.deepInclude(yield* models.fit("one"), { fits: true, neededBytes: 3 * gibibyte, evict: [] });
        assert.deepInclude(yield* load("one"), { state: "active", reservedBytes: 3 * gibibyte });
        assert.deepInclude(yield* models.pool, { loaded: 1, reservedBytes: 3 * gibibyte });
        assert.deepInclude(yield* models.fit("two"), { fits: true, evict: ["one"] });
        yield* load("two");
        assert.deepStrictEqual(log, ["start org/one", "stop org/one", "start org/two"]);
        assert.deepInclude(yield* models.pool, { loaded: 1, reservedBytes: 3 * gibibyte });
        // One on a server that others start takes no part in it.
        assert.deepInclude(yield* load("remote"), { state: "active", reservedBytes: 0 });
        assert.deepInclude(yield* models.get("two"), { state: "active" });
        assert.deepInclude(yield* Effect.flip(load("huge")), { _tag: "ModelTooLarge" });
      }),
    ),
  );

  it.effect("are ended when they were idle for their time", () =>
    withPool((log) =>
      Effect.gen(function* () {
        const models = yield* Models;
        yield* load("two");
        yield* TestClock.adjust("11 seconds");
        yield* fibersRan;
        assert.deepInclude(yield* models.get("two"), { state: "available", reservedBytes: 0 });
        assert.deepStrictEqual(log, ["start org/two", "stop org/two"]);
      }),
    ),
  );

  it.effect("count with what their processes take where that is more, also the next time", () =>
    withPool((_, taken) =>
      Effect.gen(function* () {
        const models = yield* Models;
        yield* load("small");
        taken.bytes = 2 * gibibyte;
        yield* TestClock.adjust("2 seconds");
        yield* fibersRan;
        assert.deepInclude(yield* models.get("small"), { reservedBytes: 2 * gibibyte, residentBytes: 2 * gibibyte });
        yield* models.unload("small", { drainMs: 0, force: false });
        assert.deepInclude(yield* models.fit("small"), { neededBytes: 2 * gibibyte });
      }),
    ),
  );

  it.effect("are fetched by an engine that can be asked to alone", () =>
    withPool(() =>
      Effect.gen(function* () {
        const models = yield* Models;
        const seen: number[] = [];
        assert.isTrue(yield* models.fetch("remote", ({ bytesDone }) => seen.push(bytesDone)));
        assert.deepStrictEqual(seen, [1, 2]);
        assert.isFalse(yield* models.fetch("one", () => {}));
      }),
    ),
  );

  it.effect("tell the stages of their start", () =>
    withPool(() =>
      Effect.gen(function* () {
        const models = yield* Models;
        const stages: StartStage[] = [];
        assert.isFalse(yield* models.followStart("remote", () => {}));
        assert.isTrue(yield* models.followStart("one", (stage) => stages.push(stage)));
        yield* load("one");
        assert.deepStrictEqual(stages, ["server-starting", "model-serving", "model-loading"]);
      }).pipe(Effect.scoped),
    ),
  );

  it.effect("tell no stage of an earlier start while they wait for memory", () =>
    withPool(() =>
      Effect.gen(function* () {
        const models = yield* Models;
        yield* load("one");
        const other = yield* Scope.make();
        const two = Effect.flatMap(models.use("two"), (model): Effect.Effect<unknown, unknown, Scope.Scope> =>
          model.lease(),
        );
        yield* Scope.provide(two, other);
        const loading = yield* Effect.forkChild(load("one"), { startImmediately: true });
        yield* fibersRan;
        const stages: StartStage[] = [];
        yield* models.followStart("one", (stage) => stages.push(stage));
        assert.deepInclude(yield* models.get("one"), { state: "loading" });
        assert.deepStrictEqual(stages, []);
        yield* Scope.close(other, Exit.void);
        yield* Fiber.join(loading);
        assert.deepStrictEqual(stages, ["server-starting", "model-serving", "model-loading"]);
      }).pipe(Effect.scoped),
    ),
  );
});
