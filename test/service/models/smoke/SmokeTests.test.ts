import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect, Layer } from "effect";

import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import type { QualitySettings } from "../../../../src/service/config/QualityConfig.ts";
import type { SmokeTest } from "../../../../src/service/domain/smoke-test.ts";
import { SmokeTests } from "../../../../src/service/models/smoke/SmokeTests.ts";
import { capturedLog, type LogLine } from "../../../support/captured-log.ts";
import { quality } from "../../../support/quality.ts";
import { facts } from "../../../support/tasks.ts";

let folder = "";
let log: LogLine[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-smoke-"));
  log = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const test: SmokeTest = { quality: "ok", reason: "ok", answer: "4", testedAt: 1_700_000_000_000, durationMs: 7 };

const failed: SmokeTest = { ...test, quality: "failed", reason: "empty response" };

/** As a service that was just started. */
const fresh = <A>(
  use: (tests: SmokeTests["Service"]) => Effect.Effect<A> | A,
  settings: Partial<QualitySettings> = {},
) =>
  Effect.flatMap(SmokeTests, (tests) => {
    const used = use(tests);
    return Effect.isEffect(used) ? used : Effect.succeed(used);
  }).pipe(
    Effect.provide(
      SmokeTests.layer.pipe(
        Layer.provide([Layer.succeed(ModelsConfig, { directory: folder, defaultModel: "" }), quality(settings)]),
        Layer.merge(capturedLog(log)),
      ),
      { local: true },
    ),
  );

describe("the results of smoke tests", () => {
  it.effect("outlive the service, for the same revision and family", () =>
    Effect.gen(function* () {
      yield* fresh((tests) => tests.remember(facts(), test));
      assert.deepEqual(yield* fresh((tests) => tests.of(facts())), test);
      assert.isUndefined(yield* fresh((tests) => tests.of(facts({ id: "other" }))));
      assert.isUndefined(yield* fresh((tests) => tests.of(facts({ revision: "r2" }))));
      assert.isUndefined(yield* fresh((tests) => tests.of(facts({ family: "llama" }))));
    }),
  );

  it.effect("are kept under the engine's full name, and read under any other", () =>
    Effect.gen(function* () {
      yield* fresh((tests) => tests.remember(facts(), test));
      const file = join(folder, ".mlxd", "smoke-tests.json");
      const text = readFileSync(file, "utf8");
      assert.hasAllKeys(JSON.parse(text), [`local_mlx:${facts().id}`]);
      for (const name of ["mlx", "local-mlx"]) {
        writeFileSync(file, text.replace("local_mlx", name));
        assert.deepEqual(yield* fresh((tests) => tests.of(facts())), test);
      }
    }),
  );

  it.effect("are replaced by newer ones, also of another revision", () =>
    Effect.gen(function* () {
      yield* fresh((tests) =>
        Effect.andThen(tests.remember(facts(), test), tests.remember(facts({ revision: "r2" }), failed)),
      );
      assert.isUndefined(yield* fresh((tests) => tests.of(facts())));
      assert.deepEqual(yield* fresh((tests) => tests.of(facts({ revision: "r2" }))), failed);
    }),
  );

  it.effect("count for the question that was asked and the answers that were awaited", () =>
    Effect.gen(function* () {
      yield* fresh((tests) => tests.remember(facts(), test));
      assert.isUndefined(yield* fresh((tests) => tests.of(facts()), { smokeQuestion: "What is 3+1?" }));
      assert.isUndefined(yield* fresh((tests) => tests.of(facts()), { smokeAnswers: ["four"] }));
    }),
  );

  it.effect("block the model that failed, at that revision, unless that is switched off", () =>
    Effect.gen(function* () {
      const tries = [
        [failed, failed],
        [{ ...failed, quality: "degraded" }, undefined],
        [test, undefined],
      ] as const;
      assert.isUndefined(yield* fresh((tests) => tests.blocking(facts())), "never tried");
      for (const [result, blocking] of tries) {
        yield* fresh((tests) => tests.remember(facts(), result));
        assert.deepEqual(yield* fresh((tests) => tests.blocking(facts())), blocking);
      }
      yield* fresh((tests) => tests.remember(facts(), failed));
      assert.isUndefined(yield* fresh((tests) => tests.blocking(facts({ revision: "r2" }))));
      assert.isUndefined(yield* fresh((tests) => tests.blocking(facts()), { smokeBlocksChat: false }));
    }),
  );

  it.effect("that come at once are all kept", () =>
    Effect.gen(function* () {
      const ids = Array.from({ length: 20 }, (_, index) => `model-${index}`);
      yield* fresh((tests) =>
        Effect.forEach(ids, (id) => tests.remember(facts({ id }), test), { concurrency: "unbounded", discard: true }),
      );
      const kept = yield* fresh((tests) => ids.map((id) => tests.of(facts({ id }))));
      assert.deepEqual(
        kept,
        ids.map(() => test),
      );
      assert.isFalse(existsSync(join(folder, ".mlxd", "smoke-tests.json.part")));
    }),
  );

  it.effect("that cannot be read are none, and those that cannot be written hold until the end", () =>
    Effect.gen(function* () {
      mkdirSync(join(folder, ".mlxd"));
      writeFileSync(join(folder, ".mlxd", "smoke-tests.json"), '{"mlx:tiny":{"revision":1}}');
      assert.isUndefined(yield* fresh((tests) => tests.of(facts())));
      rmSync(join(folder, ".mlxd"), { recursive: true });
      writeFileSync(join(folder, ".mlxd"), "in the way");
      const kept = yield* fresh((tests) =>
        Effect.andThen(
          tests.remember(facts(), test),
          Effect.sync(() => tests.of(facts())),
        ),
      );
      assert.deepEqual(kept, test);
      assert.deepEqual(
        log.map(({ level, text }) => [level, text.trim()]),
        [["Warn", "smoke tests cannot be kept"]],
      );
    }),
  );
});
