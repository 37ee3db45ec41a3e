import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect, Layer } from "effect";

import { Configuration } from "../../../../src/service/config/Configuration.ts";
import { ModelsConfig } from "../../../../src/service/config/ModelsConfig.ts";
import { type Drafting, Engines } from "../../../../src/service/engine/Engines.ts";
import * as ModelPool from "../../../../src/service/models/residency/ModelPool.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { writeCheckpoint } from "../../../fixtures/checkpoint.ts";
import { idleEngine } from "../../../support/idle-engine.ts";
import { inlineSandbox } from "../../../support/inline-sandbox.ts";
import { residency } from "../../../support/residency.ts";
import { tokenEngines } from "../../../support/token-engines.ts";
import { lease as engineOf } from "../../../support/model-in-use.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-drafting-"));
  for (const id of ["big", "small", "other"]) writeCheckpoint(join(folder, "models", id));
});
afterEach(() => rmSync(folder, { recursive: true }));

const engine = idleEngine();

/** What each engine was started with, by model id. */
type Started = Record<string, Drafting>;

const write = (models: string): void =>
  writeFileSync(join(folder, "mlxd.yaml"), `service: {models: ./models}\n${models}\n`);

const pool = (started: Started, speculation: "off" | "measured" = "measured") => {
  const engines = Layer.succeed(
    Engines,
    tokenEngines({
      start: ({ id }, _, drafting) =>
        Effect.sync(() => {
          started[id] = drafting;
          return engine;
        }),
    }),
  );
  const configuration = Configuration.layer({ args: [], environment: {}, workingDirectory: folder });
  const models = ModelsConfig.layer("/nowhere").pipe(Layer.provide(configuration));
  return ModelPool.layer.pipe(Layer.provide([inlineSandbox, engines, residency({}, speculation), models]));
};

const lease = (name: string) => Effect.scoped(engineOf(name));
const fit = (name: string) => Effect.flatMap(Models, (models) => models.fit(name));

describe("drafting", () => {
  it.effect("starts a model with the folder of the one that drafts for it, and counts the weights of both", () =>
    Effect.suspend(() => {
      write("models: {big: {draft: SMALL}}");
      const started: Started = {};
      return Effect.gen(function* () {
        yield* lease("big");
        yield* lease("other");
        assert.deepEqual(started, {
          big: { allowed: true, directory: join(folder, "models", "small") },
          other: { allowed: true, directory: undefined },
        });
        const [big, other] = [yield* fit("big"), yield* fit("other")];
        assert.strictEqual(big.weightBytes, 2 * other.weightBytes);
        assert.strictEqual(big.neededBytes, other.neededBytes + other.weightBytes);
      }).pipe(Effect.provide(pool(started)));
    }),
  );

  it.effect("is not allowed to families that run without", () =>
    Effect.suspend(() => {
      write(
        "models: {big: {family: gpt-oss}, small: {family: qwen}, other: {family: llama}}\nfamilies: {qwen: {draft: false}}",
      );
      const started: Started = {};
      return Effect.gen(function* () {
        for (const name of ["big", "small", "other"]) yield* lease(name);
        assert.deepEqual(
          Object.entries(started).map(([id, { allowed }]) => [id, allowed]),
          [
            ["big", false],
            ["small", false],
            ["other", true],
          ],
        );
      }).pipe(Effect.provide(pool(started)));
    }),
  );

  it.effect("refuses a model whose draft model cannot be used, and says why", () =>
    Effect.suspend(() => {
      write("models: {big: {draft: small}}");
      rmSync(join(folder, "models", "small", "model.safetensors"));
      return Effect.gen(function* () {
        const error = yield* Effect.flip(lease("big"));
        assert.deepInclude(error, {
          _tag: "ModelBroken",
          cause: 'its draft model "small" cannot be used: model.safetensors is missing',
        });
      }).pipe(Effect.provide(pool({})));
    }),
  );

  it.effect("needs no draft model where nothing is drafted", () =>
    Effect.suspend(() => {
      write("models: {big: {draft: small}}");
      rmSync(join(folder, "models", "small", "model.safetensors"));
      const started: Started = {};
      return Effect.gen(function* () {
        yield* lease("big");
        assert.deepEqual(started, { big: { allowed: true, directory: undefined } });
        assert.strictEqual((yield* fit("big")).weightBytes, (yield* fit("other")).weightBytes);
      }).pipe(Effect.provide(pool(started, "off")));
    }),
  );

  it.effect("has a new engine where a reload names another draft model, or forbids drafts", () =>
    Effect.suspend(() => {
      write("models: {big: {draft: small}}");
      const started: Started = {};
      return Effect.gen(function* () {
        const models = yield* Models;
        const directories: Array<string | undefined> = [];
        for (const next of ["big: {draft: small}", "big: {draft: other}", "big: {}", "big: {aliases: [b]}"]) {
          write(`models: {${next}}`);
          yield* models.reload;
          delete started["big"];
          yield* lease("big");
          directories.push(started["big"] === undefined ? "as it was" : started["big"].directory);
        }
        const of = (id: string) => join(folder, "models", id);
        assert.deepEqual(directories, [of("small"), of("other"), undefined, "as it was"]);
      }).pipe(Effect.provide(pool(started)));
    }),
  );
});
