/** The service: wires the layers, says where it listens, and ends when it is told to. */
import { fileURLToPath } from "node:url";
import { Cause, Effect, Exit, Layer, Runtime } from "effect";

import { Admission } from "./admission/Admission.ts";
import { AdmissionConfig } from "./config/AdmissionConfig.ts";
import { DownloadConfig } from "./config/DownloadConfig.ts";
import { EngineConfig } from "./config/EngineConfig.ts";
import { LogConfig } from "./config/LogConfig.ts";
import { ModelsConfig } from "./config/ModelsConfig.ts";
import { ServerConfig } from "./config/ServerConfig.ts";
import { layer as mlxEngines } from "./engine/mlx/MlxEngine.ts";
import { layer as downloads } from "./models/download/DownloadsLive.ts";
import { layer as modelPool } from "./models/ModelPool.ts";
import { Models } from "./models/Models.ts";
import { SmokeTests } from "./models/smoke/SmokeTests.ts";
import { layer as generations } from "./pipeline/GenerationsLive.ts";
import { layer as preparations } from "./pipeline/prepare/PreparationsLive.ts";
import { Server } from "./server/Server.ts";
import { layer as logging } from "./telemetry/logging.ts";
import { Stats } from "./telemetry/Stats.ts";

const bundledModels = fileURLToPath(new URL("../../models", import.meta.url));

const models = Layer.mergeAll(modelPool, downloads, SmokeTests.layer).pipe(
  Layer.provide(mlxEngines),
  Layer.provide([EngineConfig.layer, DownloadConfig.layer, ModelsConfig.layer(bundledModels)]),
);

const pipeline = preparations.pipe(
  Layer.provideMerge(generations),
  Layer.provide(Admission.layer),
  Layer.provideMerge(models),
  Layer.provideMerge(Stats.layer),
  Layer.provideMerge(AdmissionConfig.layer),
);

/** The default model is loaded before the port opens: who connects is answered at once. */
const preloaded = Layer.effectDiscard(
  Effect.gen(function* () {
    const models = yield* Models;
    if ((yield* models.list).length === 0) {
      return yield* Effect.logWarning("there is no model yet; PrepareModel downloads one");
    }
    const [report] = yield* models.preload([""]);
    if (report?.error !== undefined) return yield* report.error;
  }),
).pipe(Layer.provideMerge(pipeline));

const server = Server.layer.pipe(Layer.provide(preloaded), Layer.provideMerge(ServerConfig.layer));

const announce = Effect.gen(function* () {
  const { host, port } = (yield* Server).address;
  const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  process.stdout.write(
    `mlxd is ready at ${url}\n` +
      `try: curl ${url}/mlxd.v1.GenerationService/Generate --json ` +
      `'{"task":{"chat":{"messages":[{"role":"ROLE_USER","content":[{"text":"What is 2+2?"}]}]}}}'\n`,
  );
});

const program = Effect.andThen(announce, Effect.never).pipe(
  Effect.provide(server),
  // Why it cannot start is the operator's to read: one line, without a stack.
  Effect.tapError((error) => Effect.sync(() => process.stderr.write(`mlxd cannot start: ${error.message}\n`))),
  Effect.provide(logging.pipe(Layer.provide(LogConfig.layer))),
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

runMain(program, {
  disableErrorReporting: true,
  // Being told to end is not a failure.
  teardown: (exit, onExit) => onExit(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0),
});
