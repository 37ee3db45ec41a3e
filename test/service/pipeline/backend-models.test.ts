/** Models of other servers from mlxd.yaml to the answer: the pair of a default and an opt-in one, each with its own gate. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer, Stream } from "effect";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import { backendDrivers } from "../../../src/service/engine/backends/backend-drivers.ts";
import { SmokeTests } from "../../../src/service/models/smoke/SmokeTests.ts";
import { Generations } from "../../../src/service/pipeline/Generations.ts";
import { layer as generationsLayer } from "../../../src/service/pipeline/run-generations.ts";
import { Metrics } from "../../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";
import { openAccess } from "../../support/open-access.ts";
import { capturedLog, type LogLine } from "../../support/captured-log.ts";
import { configuredPool } from "../../support/configured-pool.ts";
import { quality } from "../../support/quality.ts";
import { beginStream, chunk, four, key, scriptedBackend } from "../../support/scripted-backend.ts";
import { chat, message, task } from "../../support/tasks.ts";

const asked = (model: string) => task({ model, input: chat(message("user", "2+2?")) });

describe("a pair of models on two hosts", () => {
  it.live("answers each by itself, never one for the other, and neither waits for the other", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "mlxd-backend-models-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true })),
      );
      const macmini = yield* scriptedBackend((response) => void beginStream(response).end(four));
      let macbookAnswers: 503 | "cut" | undefined;
      const macbook = yield* scriptedBackend((response) => {
        if (macbookAnswers === "cut") beginStream(response).write(chunk({ content: "Fo" }), () => response.destroy());
        else if (macbookAnswers === 503) response.writeHead(503).end();
        else beginStream(response).write(": wait\n\n");
      });
      mkdirSync(join(folder, "models"));
      writeFileSync(join(folder, "key"), key);
      writeFileSync(
        join(folder, "mlxd.yaml"),
        [
          "service: {models: models}",
          "backends:",
          `  macmini: {engine: mlx_lm_server, base_url: "${macmini.settings.baseUrl}", api_key_file: key}`,
          `  macbook: {engine: mlx_lm_server, base_url: "${macbook.settings.baseUrl}"}`,
          "models:",
          "  gemma-macmini: {backend: macmini, model: org/gemma, context_length: 4096}",
          "  qwen-macbook: {backend: MacBook, model: org/qwen, context_length: 4096}",
        ].join("\n"),
      );
      const log: string[] = [];
      const lines: LogLine[] = [];
      const layer = generationsLayer.pipe(
        Layer.provide(Admission.layer),
        Layer.provideMerge(configuredPool(folder, log, {}, backendDrivers())),
        Layer.provide([
          Layer.mock(SmokeTests)({ of: () => undefined, blocking: () => undefined }),
          quality({}),
          Metrics.layer,
          Stats.layer,
          openAccess,
          Layer.succeed(AdmissionConfig, { maxRunning: 2, maxQueued: 2 }),
        ]),
        Layer.merge(capturedLog(lines)),
      );
      yield* Effect.gen(function* () {
        const generations = yield* Generations;
        const waiting = yield* Effect.forkChild(generations.run(asked("qwen-macbook")));
        while (macbook.requests.length === 0) yield* Effect.sleep(5);
        for (const name of ["", "gemma-macmini", "mlx_lm_server:gemma-macmini"]) {
          const { candidates, usage, started } = yield* generations.run(asked(name));
          assert.strictEqual(candidates[0]?.text, "Four.", name);
          assert.strictEqual(started.model, "gemma-macmini");
          assert.deepInclude(usage, { promptTokens: 11, cachedPromptTokens: 4, outputTokens: 3 });
          assert.notProperty(usage, "estimated");
        }
        const streamed = yield* Stream.runCollect(generations.stream(asked("gemma-macmini")));
        assert.strictEqual(streamed.at(-1)?.type, "finished");
        yield* Fiber.interrupt(waiting);
        macbookAnswers = "cut";
        const lost = yield* Effect.flip(Stream.runCollect(generations.stream(asked("qwen-macbook"))));
        assert.deepInclude(lost, { _tag: "EngineLost", delivered: true });
        assert.deepInclude(lost._tag === "EngineLost" ? lost.progress?.usage : {}, {
          outputTokens: 1,
          estimated: true,
        });
        macbookAnswers = 503;
        const failure = yield* Effect.flip(generations.run(asked("qwen-macbook")));
        assert.deepInclude(failure, { _tag: "BackendUnavailable", backend: "macbook", cause: "http_503" });
        const line = lines.at(-1);
        assert.strictEqual(line?.level, "Warn");
        const what = { error: "BackendUnavailable", backend: "macbook", cause: "http_503" };
        assert.deepInclude(line?.annotations, { model: "qwen-macbook", outcome: "failed", ...what });
        const alternatives = ["gemma-macmini"];
        const other = yield* generations.run({ ...asked("qwen-macbook"), alternatives });
        assert.strictEqual(other.started.model, "gemma-macmini");
        assert.deepInclude(other.started.passedOver?.[0]?.error, { _tag: "BackendUnavailable", backend: "macbook" });
        const refused = yield* Effect.flip(generations.run({ ...asked("gemma-macmini"), sampling: { seed: 1 } }));
        assert.deepInclude(refused, { _tag: "UnsupportedParameter", field: "task.sampling.seed" });
        assert.lengthOf(macmini.requests, 5);
        assert.strictEqual(macmini.requests[0]?.headers.authorization, `Bearer ${key}`);
        assert.isUndefined(macbook.requests[0]?.headers.authorization);
      }).pipe(Effect.provide(layer));
    }),
  );
});
