/** The whole service, but for the engine: its tokens cost nothing. Prints its port. With `METRICS=none` it counts nothing for metrics. */
import { join } from "node:path";
import { Effect, Layer, ManagedRuntime, Stream } from "effect";

import { Access } from "../../src/service/access/Access.ts";
import { Admission } from "../../src/service/admission/Admission.ts";
import { AccessConfig } from "../../src/service/config/AccessConfig.ts";
import { AdmissionConfig } from "../../src/service/config/AdmissionConfig.ts";
import { Configuration } from "../../src/service/config/Configuration.ts";
import { DownloadConfig } from "../../src/service/config/DownloadConfig.ts";
import { EngineConfig } from "../../src/service/config/EngineConfig.ts";
import { ModelsConfig } from "../../src/service/config/ModelsConfig.ts";
import { JobsConfig } from "../../src/service/config/JobsConfig.ts";
import { QualityConfig } from "../../src/service/config/QualityConfig.ts";
import { ResidencyConfig } from "../../src/service/config/ResidencyConfig.ts";
import { ServerConfig } from "../../src/service/config/ServerConfig.ts";
import type { Engine, EngineEvent } from "../../src/service/engine/Engine.ts";
import { noMemory } from "../../src/service/engine/EngineStatus.ts";
import { Engines } from "../../src/service/engine/Engines.ts";
import { layer as jobs } from "../../src/service/jobs/stored-jobs.ts";
import { layer as downloads } from "../../src/service/models/download/download-models.ts";
import { SandboxConfig } from "../../src/service/config/SandboxConfig.ts";
import { Sandbox } from "../../src/service/sandbox/Sandbox.ts";
import { layer as modelPool } from "../../src/service/models/residency/ModelPool.ts";
import { SmokeTests } from "../../src/service/models/smoke/SmokeTests.ts";
import { layer as embeddings } from "../../src/service/pipeline/run-embeddings.ts";
import { layer as generations } from "../../src/service/pipeline/run-generations.ts";
import { layer as preparations } from "../../src/service/pipeline/prepare/run-preparations.ts";
import { Server } from "../../src/service/server/Server.ts";
import { Metrics } from "../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../src/service/telemetry/Stats.ts";
import { tokenEngines } from "../../test/support/token-engines.ts";
import { word } from "./scripted-messages.ts";

/** Gives every sequence a token in each turn of the event loop, as an engine does in each step. */
const createEngine = (): Engine => {
  const running = new Set<() => void>();
  const step = (): void => {
    for (const next of running) next();
    if (running.size > 0) setImmediate(step);
  };
  return {
    generate: ({ parameters }, onEvent: (event: EngineEvent) => void) =>
      Effect.callback<void>((resume) => {
        let tokens = 0;
        const next = (): void => {
          tokens += 1;
          onEvent({ type: "output", text: word, tokens: 1, tokenIds: [tokens], ...nothingElse });
          if (tokens < parameters.maxOutputTokens) return;
          running.delete(next);
          onEvent({ type: "finished", reason: "max-output-tokens", ...plainEnd });
          resume(Effect.void);
        };
        onEvent({ type: "admitted", cachedPromptTokens: 0 });
        running.add(next);
        if (running.size === 1) setImmediate(step);
        return Effect.sync(() => running.delete(next));
      }),
    embed: () => Effect.succeed(new Float32Array(1)),
    clearPrefixes: () => Effect.succeed({ entries: 0, bytes: 0 }),
    cancel: () => Effect.succeed(false),
    health: Stream.empty,
    failure: Effect.never,
    status: Effect.succeed({
      ...noMemory,
      restarts: 0,
      device: "cpu",
      backend: undefined,
    }),
  };
};

const nothingElse = { reasoning: "", toolCalls: [], reasoningTokens: 0, logprobs: [] };
const plainEnd = { matched: undefined, cachedPromptTokens: 0, warnings: [] };

const engines = Layer.succeed(Engines, tokenEngines({ start: () => Effect.sync(createEngine) }));
/** As far as it is used: what is only read at a scrape has no part in it. */
const noMetrics = Layer.mock(Metrics)({
  generation: () => () => {},
  error: () => {},
  connectionRefused: () => {},
  engineStep: () => {},
  loaded: () => {},
  download: () => {},
  read: () => {},
});
const { METRICS } = process.env;
const metrics = METRICS === "none" ? noMetrics : Metrics.layer;
const sandbox = Sandbox.layer.pipe(Layer.provide(SandboxConfig.layer));
const models = Layer.mergeAll(modelPool, downloads, SmokeTests.layer).pipe(
  Layer.provideMerge(engines),
  Layer.provide(sandbox),
  Layer.provide(metrics),
  Layer.provide([
    EngineConfig.layer,
    DownloadConfig.layer,
    ResidencyConfig.layer,
    ModelsConfig.layer(join(import.meta.dirname, "../../models")),
  ]),
);
const pipeline = Layer.mergeAll(preparations, jobs).pipe(
  Layer.provideMerge(Layer.mergeAll(generations, embeddings)),
  Layer.provideMerge(Admission.layer),
  Layer.provideMerge([models, Stats.layer, metrics]),
  Layer.provideMerge(AdmissionConfig.layer),
  Layer.provide([QualityConfig.layer, JobsConfig.layer]),
);
const server = Server.layer.pipe(
  Layer.provide([pipeline, sandbox]),
  Layer.provide([
    ServerConfig.layer,
    EngineConfig.layer,
    DownloadConfig.layer,
    Access.layer.pipe(Layer.provide(AccessConfig.layer)),
  ]),
  Layer.provide(Configuration.layerProcess),
);

const { address } = await ManagedRuntime.make(server).runPromise(Server);
process.stdout.write(`${address.port}\n`);
