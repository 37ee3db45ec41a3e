/** The service: wires the layers, says where it listens, and ends when it is told to. */
import { fileURLToPath } from "node:url";
import { Cause, Effect, Exit, Layer, Queue, Runtime, Stream } from "effect";

import { Admission } from "./admission/Admission.ts";
import { AdmissionConfig } from "./config/AdmissionConfig.ts";
import { Configuration } from "./config/Configuration.ts";
import { DownloadConfig } from "./config/DownloadConfig.ts";
import { EngineConfig } from "./config/EngineConfig.ts";
import { LogConfig } from "./config/LogConfig.ts";
import { ModelsConfig } from "./config/ModelsConfig.ts";
import { QualityConfig } from "./config/QualityConfig.ts";
import { ResidencyConfig } from "./config/ResidencyConfig.ts";
import { SandboxConfig } from "./config/SandboxConfig.ts";
import { ServerConfig } from "./config/ServerConfig.ts";
import { plainFailure } from "./config/settings.ts";
import { layer as engines } from "./engine/drivers.ts";
import { layer as downloads } from "./models/download/DownloadsLive.ts";
import { layer as modelPool } from "./models/residency/ModelPool.ts";
import { Models } from "./models/Models.ts";
import { SmokeTests } from "./models/smoke/SmokeTests.ts";
import { layer as embeddings } from "./pipeline/EmbeddingsLive.ts";
import { layer as generations } from "./pipeline/GenerationsLive.ts";
import { layer as preparations } from "./pipeline/prepare/PreparationsLive.ts";
import { Sandbox } from "./sandbox/Sandbox.ts";
import { probePort } from "./server/probe-port.ts";
import { Server } from "./server/Server.ts";
import { layer as logging } from "./telemetry/logging.ts";
import { outliveReaders } from "./telemetry/standard-streams.ts";
import { Metrics } from "./telemetry/metrics/Metrics.ts";
import { Stats } from "./telemetry/Stats.ts";

const bundledModels = fileURLToPath(new URL("../../models", import.meta.url));

const sandbox = Sandbox.layer.pipe(Layer.provide(SandboxConfig.layer));

const models = Layer.mergeAll(modelPool, downloads, SmokeTests.layer).pipe(
  Layer.provide([engines, sandbox]),
  Layer.provide([EngineConfig.layer, DownloadConfig.layer, ModelsConfig.layer(bundledModels)]),
  Layer.provideMerge(ResidencyConfig.layer),
);

const pipeline = preparations.pipe(
  Layer.provideMerge(Layer.mergeAll(generations, embeddings)),
  Layer.provide(Admission.layer),
  Layer.provideMerge(models),
  Layer.provideMerge(Layer.mergeAll(Stats.layer, Metrics.layer)),
  Layer.provideMerge(AdmissionConfig.layer),
  Layer.provide(QualityConfig.layer),
);

/** SIGHUP reads the catalog anew; what is wrong with it is logged there. */
const reloads = Layer.effectDiscard(
  Effect.gen(function* () {
    const models = yield* Models;
    const hangups = Stream.callback<void>((queue) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const onHangup = () => void Queue.offerUnsafe(queue, undefined);
          process.on("SIGHUP", onHangup);
          return onHangup;
        }),
        (onHangup) => Effect.sync(() => process.off("SIGHUP", onHangup)),
      ),
    );
    yield* Effect.forkScoped(Stream.runForEach(hangups, () => Effect.ignore(models.reload)));
  }),
);

/** A port that is taken is told of before anything is loaded. */
const portProbed = Layer.effectDiscard(Effect.flatMap(ServerConfig, probePort));

/**
 * What is configured is loaded before the port opens: who connects is answered at once. A model that fails leaves the
 * others to serve; it is told of in the log and by its health. Without any the service does not start.
 */
const preloaded = Layer.effectDiscard(
  Effect.gen(function* () {
    const { preload } = yield* ResidencyConfig;
    const models = yield* Models;
    if ((yield* models.list).length === 0) {
      return yield* Effect.logWarning("there is no model yet; PrepareModel downloads one");
    }
    const reports = yield* models.preload(preload);
    const failed = reports.flatMap(({ error }) => error ?? []);
    for (const error of failed) yield* Effect.logError(`preload: ${error.message}`);
    const broken = failed.find(({ _tag }) => _tag !== "ModelNotDownloaded");
    if (broken !== undefined && failed.length === reports.length) return yield* broken;
  }),
).pipe(Layer.provideMerge(reloads), Layer.provideMerge(pipeline));

const server = Server.layer.pipe(
  Layer.provide([preloaded.pipe(Layer.provide(portProbed)), sandbox]),
  Layer.provide(EngineConfig.layer),
  Layer.provideMerge(ServerConfig.layer),
);

const announce = Effect.gen(function* () {
  const { host, port } = (yield* Server).address;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  process.stdout.write(
    `mlxd is ready at ${url}\n` +
      `try: curl ${url}/mlxd.v1.GenerationService/Generate --json ` +
      `'{"task":{"chat":{"messages":[{"role":"ROLE_USER","content":[{"text":"What is 2+2?"}]}]}}}'\n`,
  );
});

/**
 * The last resort: what was thrown into the event loop, past every guard, leaves a state that nobody knows. It is logged,
 * calls that run may finish, and the process ends with 1, so that its supervisor starts another one.
 */
const strayException = Effect.callback<never>((resume) => {
  process.on("uncaughtException", (cause) => resume(Effect.die(cause)));
}).pipe(Effect.tapCause((cause) => Effect.logFatal("an exception that nothing caught: draining, then ending", cause)));

const program = Effect.andThen(announce, strayException).pipe(
  Effect.provide(server),
  Effect.provide(logging.pipe(Layer.provide(LogConfig.layer))),
  Effect.provide(Configuration.layerProcess),
  // Why it cannot start is the operator's to read: one line, without a stack.
  Effect.tapError((error) =>
    Effect.sync(() => process.stderr.write(`mlxd cannot start: ${plainFailure(error.message)}\n`)),
  ),
);

/** SIGTERM and SIGINT end the program by closing its scopes: drain first, engines last. A second one ends it at once. */
const runMain = Runtime.makeRunMain(({ fiber, teardown }) => {
  const stop = (): void => {
    fiber.interruptUnsafe();
    process.once("SIGINT", () => process.exit(130));
    process.once("SIGTERM", () => process.exit(143));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  // Effect's runtime keeps no handle of its own on the event loop.
  const alive = setInterval(() => {}, 2 ** 30);
  fiber.addObserver((exit) => {
    clearInterval(alive);
    teardown(exit, (code) => process.exit(code));
  });
});

outliveReaders();
runMain(program, {
  disableErrorReporting: true,
  // Being told to end is not a failure.
  teardown: (exit, onExit) => onExit(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0),
});
