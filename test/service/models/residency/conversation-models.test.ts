/** A model of mlxd.yaml whose engine takes conversations, from the catalog to the answer: a second driver beside MLX's. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer } from "effect";

import { Admission } from "../../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../../src/service/config/AdmissionConfig.ts";
import { enginesOf } from "../../../../src/service/engine/drivers.ts";
import { Engines } from "../../../../src/service/engine/Engines.ts";
import { Downloads } from "../../../../src/service/models/download/Downloads.ts";
import { Models } from "../../../../src/service/models/Models.ts";
import { SmokeTests } from "../../../../src/service/models/smoke/SmokeTests.ts";
import { Generations } from "../../../../src/service/pipeline/Generations.ts";
import { layer as embeddingsLayer } from "../../../../src/service/pipeline/run-embeddings.ts";
import { layer as generationsLayer } from "../../../../src/service/pipeline/run-generations.ts";
import { Preparations } from "../../../../src/service/pipeline/prepare/Preparations.ts";
import { layer as preparationsLayer } from "../../../../src/service/pipeline/prepare/run-preparations.ts";
import { modelToWire } from "../../../../src/service/rpc/model-to-wire.ts";
import { Metrics } from "../../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../../support/open-access.ts";
import { capturedLog } from "../../../support/captured-log.ts";
import { configuredPool } from "../../../support/configured-pool.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { quality } from "../../../support/quality.ts";
import {
  type ConversationScript,
  makeScriptedConversations,
  scriptedDriver,
} from "../../../support/scripted-conversations.ts";
import { chat, message, task } from "../../../support/tasks.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-conversation-models-"));
  mkdirSync(join(folder, "models"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const declare = (models: string) =>
  writeFileSync(join(folder, "mlxd.yaml"), `service: {models: models}\nmodels:\n  ${models}\n`);
const qwen =
  'chat: {engine: ollama, model: "qwen3:8b", context_length: 8192, aliases: [bot], defaults: {temperature: 0.3}}';
const answer: ConversationScript = { promptTokens: 11, pieces: [{ text: "Four.", tokens: 2 }] };
const asked = (model: string) => task({ model, input: chat(message("user", "2+2?")) });

/** The pipeline on a real pool; what the driver starts and stops is logged. */
const withPool = <A, E>(
  script: ConversationScript,
  test: (parts: {
    readonly engine: ReturnType<typeof makeScriptedConversations>;
    readonly log: ReadonlyArray<string>;
  }) => Effect.Effect<A, E, Models | Generations | Preparations>,
) =>
  Effect.suspend(() => {
    const engine = makeScriptedConversations(script);
    const log: string[] = [];
    const driver = scriptedDriver(engine, log, ["sampling.temperature"]);
    const pool = configuredPool(folder, log, {}, { ollama: driver });
    const layer = preparationsLayer.pipe(
      Layer.provideMerge(Layer.merge(generationsLayer, embeddingsLayer)),
      Layer.provide(Admission.layer),
      Layer.provideMerge(pool),
      Layer.provide([
        Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined, remember: () => Effect.void }),
        Layer.mock(Downloads)({}),
        Layer.succeed(Engines, enginesOf({}, { ollama: driver })),
        quality({}),
        Metrics.layer,
        Stats.layer,
        openAccess,
        Layer.succeed(AdmissionConfig, { maxRunning: 2, maxQueued: 2 }),
      ]),
      Layer.merge(capturedLog([])),
    );
    return test({ engine, log }).pipe(Effect.provide(layer));
  });

describe("a model whose engine takes conversations", () => {
  beforeEach(() => declare(qwen));

  it.effect("answers by the driver that the configuration names, under each of its names", () =>
    withPool(answer, ({ engine, log }) =>
      Effect.gen(function* () {
        const generations = yield* Generations;
        for (const name of ["chat", "bot", "ollama:chat", ""]) {
          const { candidates, usage } = yield* generations.run(asked(name));
          assert.strictEqual(candidates[0]?.text, "Four.", name);
          assert.deepInclude(usage, { promptTokens: 11, outputTokens: 2 });
        }
        assert.deepStrictEqual(log, ["start qwen3:8b"]);
        assert.deepInclude(engine.requests[0]?.parameters, { temperature: 0.3 });
      }),
    ),
  );

  it.effect("is listed, loaded and unloaded as others are, and takes nothing of the memory budget", () =>
    withPool(answer, ({ log }) =>
      Effect.gen(function* () {
        const models = yield* Models;
        assert.deepInclude(yield* models.fit("chat"), { fits: true, neededBytes: 0, evict: [] });
        const loaded = yield* models.load("chat", { pinned: true, idleTtlMs: undefined });
        assert.deepInclude(loaded, { state: "active", pinned: true, files: undefined, reservedBytes: 0 });
        const told = modelToWire(loaded);
        const { id, engine, key, source, contextLength, architecture, vocabularySize } = told;
        assert.deepStrictEqual(
          [id, engine, key, source, contextLength, architecture, vocabularySize],
          ["chat", "ollama", "ollama:chat", "qwen3:8b", 8192, "", 0],
        );
        assert.deepInclude(yield* models.pool, { loaded: 0, reservedBytes: 0, loads: 1 });
        yield* models.unload("chat", { drainMs: 0, force: false });
        assert.deepStrictEqual(log, ["start qwen3:8b", "stop qwen3:8b"]);
        assert.deepInclude(yield* models.get("chat"), { state: "available" });
      }),
    ),
  );

  it.effect("is prepared with a question that asks for nothing that its engine does not support", () =>
    withPool({ ...answer, pieces: [{ text: "2+2는 4입니다.", tokens: 6 }] }, ({ engine }) =>
      Effect.gen(function* () {
        const { report } = yield* (yield* Preparations).load({ model: "bot", pinned: undefined, idleTtlMs: undefined });
        assert.deepInclude(report, { stage: "ready", current: "chat", loaded: true, error: undefined });
        assert.deepInclude(report.smokeTest, { quality: "ok", answer: "2+2는 4입니다." });
        assert.deepInclude(report.installResult, { engine: "ollama", version: "9.1" });
        assert.lengthOf(engine.requests, 1);
      }),
    ),
  );

  it.effect("ends what runs with MODEL_UNLOADED where it is unloaded by force", () =>
    withPool({ ...answer, ends: "waits" }, ({ engine }) =>
      Effect.gen(function* () {
        const running = yield* Effect.forkChild(Effect.flip((yield* Generations).run(asked("chat"))), {
          startImmediately: true,
        });
        yield* fibersRan;
        yield* (yield* Models).unload("chat", { drainMs: 0, force: true });
        assert.deepInclude(yield* Fiber.join(running), { _tag: "ModelUnloaded", model: "chat" });
        assert.lengthOf(engine.dropped, 1);
      }),
    ),
  );

  it.effect("keeps its engine when its names change, and gets a new one when it is another model there", () =>
    withPool(answer, ({ log }) =>
      Effect.gen(function* () {
        const models = yield* Models;
        const load = (name: string) => models.load(name, { pinned: undefined, idleTtlMs: undefined });
        yield* load("bot");
        declare(qwen.replace("bot", "robot"));
        assert.deepStrictEqual(yield* models.reload, { added: [], removed: [], changed: ["chat"] });
        yield* load("robot");
        assert.deepStrictEqual(log, ["start qwen3:8b"]);
        declare(qwen.replace("qwen3:8b", "qwen3:4b"));
        yield* models.reload;
        yield* load("chat");
        assert.deepStrictEqual(log, ["start qwen3:8b", "stop qwen3:8b", "start qwen3:4b"]);
      }),
    ),
  );
});
