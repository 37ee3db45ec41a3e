/** The real server on a free port, with a scripted pipeline behind it. */
import { Layer, ManagedRuntime, type Stream } from "effect";

import { Access } from "../../src/service/access/Access.ts";
import { AccessConfig } from "../../src/service/config/AccessConfig.ts";
import type { AccessDeclaration } from "../../src/service/config/access-schema.ts";
import { Admission } from "../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../src/service/config/AdmissionConfig.ts";
import { DownloadConfig } from "../../src/service/config/DownloadConfig.ts";
import { EngineConfig } from "../../src/service/config/EngineConfig.ts";
import type { JobsSettings } from "../../src/service/config/JobsConfig.ts";
import { ServerConfig, type ServerSettings } from "../../src/service/config/ServerConfig.ts";
import type { ModelCondition, ModelStatus } from "../../src/service/domain/model.ts";
import type { ModelCache } from "../../src/service/models/memory/ModelCache.ts";
import type { Models } from "../../src/service/models/Models.ts";
import { backendDrivers } from "../../src/service/engine/backends/backend-drivers.ts";
import { enginesOf } from "../../src/service/engine/drivers.ts";
import { Engines } from "../../src/service/engine/Engines.ts";
import type { Sandbox } from "../../src/service/sandbox/Sandbox.ts";
import type { Drain } from "../../src/service/server/Drain.ts";
import type { Health } from "../../src/service/server/Health.ts";
import { Server } from "../../src/service/server/Server.ts";
import { Metrics } from "../../src/service/telemetry/metrics/Metrics.ts";
import { Stats } from "../../src/service/telemetry/Stats.ts";
import { type EmbeddingScript, scriptedEmbeddings } from "./scripted-embeddings.ts";
import { scriptedPreparations, type PreparationScript } from "./scripted-preparations.ts";
import { testJobs } from "./jobs.ts";
import { inlineSandbox } from "./inline-sandbox.ts";
import { listedModels } from "./listed-models.ts";
import { capturedLog, type LogLine } from "./captured-log.ts";
import { type GenerationScript, scriptedGenerations } from "./scripted-generations.ts";

export interface TestServerOptions extends GenerationScript, EmbeddingScript, PreparationScript {
  readonly models?: () => ReadonlyArray<ModelStatus>;
  readonly modelChanges?: Stream.Stream<ReadonlyMap<string, ModelCondition>>;
  /** What is asked of the models in memory. */
  readonly cache?: Partial<ModelCache>;
  /** What is asked of the catalog. */
  readonly changeEntry?: Models["Service"]["changeEntry"];
  readonly config?: Partial<ServerSettings>;
  /** @default nobody is asked who calls */
  readonly access?: AccessDeclaration;
  /** @default 4 */
  readonly maxRunning?: number;
  /** @default a store that is made with the first job */
  readonly jobs?: Partial<JobsSettings>;
  /** @default its jobs are done in this process */
  readonly sandbox?: Layer.Layer<Sandbox>;
}

export interface TestServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** What was logged so far. */
  readonly log: ReadonlyArray<LogLine>;
  readonly runtime: ManagedRuntime.ManagedRuntime<Server | Drain | Health | Stats | Admission, unknown>;
  /** Drains and ends it. */
  readonly close: () => Promise<void>;
}

export const testConfig: ServerSettings = {
  host: "127.0.0.1",
  port: 0,
  maxMessageBytes: 4 * 1024 * 1024,
  maxDeadlineMs: 3_600_000,
  defaultDeadlineMs: 600_000,
  drainGraceMs: 0,
  drainMs: 2_000,
  stallMs: 30_000,
  earlyHeadersMs: 10_000,
  grpcEarlyHeadersMs: 0,
  corsOrigins: [],
  corsHeaders: [],
  reflection: true,
  loadReports: true,
  metrics: "on",
  maxConnections: 1000,
  maxConnectionsPerPeer: 1000,
  maxConnectionIdleMs: 0,
  maxConnectionAgeMs: 0,
  connectionAgeGraceMs: 1000,
  socket: undefined,
  socketMode: 0o600,
  auditLog: undefined,
  tls: undefined,
  insecureBind: false,
};

export const startTestServer = async (options: TestServerOptions = {}): Promise<TestServer> => {
  const log: LogLine[] = [];
  const layer = Server.layer.pipe(
    Layer.provide(testJobs(options.jobs)),
    Layer.provide([
      scriptedGenerations(options),
      scriptedEmbeddings(options),
      scriptedPreparations(options),
      listedModels(options.models, options.modelChanges, {
        ...options.cache,
        ...(options.changeEntry && { changeEntry: options.changeEntry }),
      }),
      Layer.succeed(ServerConfig, { ...testConfig, ...options.config }),
      Access.layer.pipe(Layer.provide(AccessConfig.layerOf(options.access))),
      options.sandbox ?? inlineSandbox,
    ]),
    Layer.provide([DownloadConfig.layer, Layer.succeed(Engines, enginesOf({}, backendDrivers()))]),
    Layer.provideMerge(Admission.layer),
    Layer.provide(Layer.succeed(AdmissionConfig, { maxRunning: options.maxRunning ?? 4, maxQueued: 8 })),
    Layer.provideMerge([Stats.layer, Metrics.layer, EngineConfig.layer, capturedLog(log)]),
  );
  const runtime = ManagedRuntime.make(layer);
  const { address } = await runtime.runPromise(Server);
  return {
    url: `${address.scheme}://127.0.0.1:${address.port}`,
    port: address.port,
    log,
    runtime,
    close: () => runtime.dispose(),
    [Symbol.asyncDispose]: () => runtime.dispose(),
  };
};
