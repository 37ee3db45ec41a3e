/** The service: wires the layers and runs them until the process is told to end. */
import { fileURLToPath } from "node:url";
import { Effect, Layer } from "effect";

import { Access } from "./access/Access.ts";
import { assertMeant } from "./access/exposure.ts";
import { Admission } from "./admission/Admission.ts";
import { AccessConfig } from "./config/AccessConfig.ts";
import { AdmissionConfig } from "./config/AdmissionConfig.ts";
import { Configuration } from "./config/Configuration.ts";
import { DownloadConfig } from "./config/DownloadConfig.ts";
import { EngineConfig } from "./config/EngineConfig.ts";
import { JobsConfig } from "./config/JobsConfig.ts";
import { LogConfig } from "./config/LogConfig.ts";
import { ModelsConfig } from "./config/ModelsConfig.ts";
import { QualityConfig } from "./config/QualityConfig.ts";
import { ResidencyConfig } from "./config/ResidencyConfig.ts";
import { SandboxConfig } from "./config/SandboxConfig.ts";
import { ServerConfig } from "./config/ServerConfig.ts";
import { SupervisorConfig } from "./config/SupervisorConfig.ts";
import { TraceConfig } from "./config/TraceConfig.ts";
import { plainFailure } from "./config/settings.ts";
import { layer as engines } from "./engine/drivers.ts";
import { layer as jobs } from "./jobs/stored-jobs.ts";
import { layer as downloads } from "./models/download/download-models.ts";
import { layer as modelPool } from "./models/residency/ModelPool.ts";
import { SmokeTests } from "./models/smoke/SmokeTests.ts";
import { layer as allowedModels } from "./pipeline/allowed-models.ts";
import { layer as embeddings } from "./pipeline/run-embeddings.ts";
import { layer as generations } from "./pipeline/run-generations.ts";
import { layer as preparations } from "./pipeline/prepare/run-preparations.ts";
import { preload } from "./preload.ts";
import { CompiledRules } from "./rpc/CompiledRules.ts";
import { reloadOnHangup } from "./reload-on-hangup.ts";
import { announce, runMain, strayException } from "./run-main.ts";
import { Sandbox } from "./sandbox/Sandbox.ts";
import { probePort } from "./server/probe-port.ts";
import { Server } from "./server/Server.ts";
import { readTls } from "./server/tls-files.ts";
import { Systemd, tellSystemd } from "./tell-systemd.ts";
import { layer as logging } from "./telemetry/logging.ts";
import { outliveReaders } from "./telemetry/standard-streams.ts";
import { Metrics } from "./telemetry/metrics/Metrics.ts";
import { Stats } from "./telemetry/Stats.ts";
import { layer as tracing } from "./telemetry/traces/Tracing.ts";

const bundledModels = fileURLToPath(new URL("../../models", import.meta.url));

const sandbox = Sandbox.layer.pipe(Layer.provide(SandboxConfig.layer));

const access = Access.layer.pipe(Layer.provide(AccessConfig.layer));

const models = Layer.mergeAll(allowedModels.pipe(Layer.provide(modelPool)), downloads, SmokeTests.layer).pipe(
  Layer.provideMerge(engines),
  Layer.provide(sandbox),
  Layer.provide([Metrics.layer, access]),
  Layer.provide([EngineConfig.layer, DownloadConfig.layer, ModelsConfig.layer(bundledModels)]),
  Layer.provideMerge(ResidencyConfig.layer),
);

const pipeline = Layer.mergeAll(preparations, jobs).pipe(
  Layer.provideMerge(Layer.mergeAll(generations, embeddings)),
  Layer.provideMerge(Admission.layer),
  Layer.provideMerge(models),
  Layer.provideMerge(Layer.mergeAll(Stats.layer, Metrics.layer)),
  Layer.provideMerge(AdmissionConfig.layer),
  Layer.provide([QualityConfig.layer, JobsConfig.layer, access]),
);

/** Reports a port that is in use, unusable TLS files and an unconfirmed exposure before anything is loaded. */
const portProbed = Layer.effectDiscard(
  Effect.gen(function* () {
    const config = yield* ServerConfig;
    yield* assertMeant(config, (yield* Access).isAsking());
    yield* probePort(config);
    if (config.tls !== undefined) yield* Effect.fromResult(readTls(config.tls));
  }),
).pipe(Layer.provide(access));

const preloaded = preload.pipe(
  // Begun before models are loaded, and done meanwhile.
  Layer.provide(CompiledRules.layer),
  Layer.provideMerge(reloadOnHangup.pipe(Layer.provide(access))),
  Layer.provideMerge(pipeline),
);

const server = Server.layer.pipe(
  Layer.provideMerge(preloaded.pipe(Layer.provide(portProbed))),
  Layer.provide(sandbox),
  Layer.provide([EngineConfig.layer, DownloadConfig.layer, access]),
  Layer.provideMerge(ServerConfig.layer),
);

const program = announce.pipe(
  Effect.andThen(Effect.raceFirst(strayException, tellSystemd)),
  Effect.provide(server),
  Effect.provide(Layer.merge(SupervisorConfig.layer, Systemd.layer)),
  Effect.provide(tracing.pipe(Layer.provide(TraceConfig.layer))),
  Effect.provide(logging.pipe(Layer.provide(LogConfig.layer))),
  Effect.provide(Configuration.layerProcess),
  // The operator sees one line without a stack trace.
  Effect.tapError((error) =>
    Effect.sync(() => process.stderr.write(`mlxd cannot start: ${plainFailure(error.message)}\n`)),
  ),
);

outliveReaders();
runMain(program);
