/** The mlx driver with its real processes, with the settings of the environment but for those that a test names. */
import { Effect, Layer } from "effect";

import { EngineConfig, type EngineSettings } from "../../src/service/config/EngineConfig.ts";
import { layer as mlxLayer } from "../../src/service/engine/drivers.ts";
import { Engines } from "../../src/service/engine/Engines.ts";
import { Metrics } from "../../src/service/telemetry/metrics/Metrics.ts";
import { byteVocabulary } from "./byte-tokenizer.ts";
import { facts } from "./tasks.ts";

export const mlxEngines = (settings: Partial<EngineSettings> = {}) =>
  mlxLayer.pipe(
    Layer.provide(Metrics.layer),
    Layer.provide(
      Layer.effect(
        EngineConfig,
        Effect.map(EngineConfig, (read) => ({ ...read, ...settings })),
      ).pipe(Layer.provide(EngineConfig.layer)),
    ),
  );

/** Starts an engine with the checkpoint in a directory. @param unchanged as in `Driver.start` */
export const startMlxEngine = Effect.fnUntraced(function* (
  directory: string,
  unchanged: Parameters<Engines["Service"]["start"]>[3] = Effect.void,
) {
  const engines = yield* Engines;
  const drafting = { allowed: true, directory: undefined };
  return yield* engines.start(
    facts({ directory, contextLength: 4096 }),
    byteVocabulary,
    drafting,
    unchanged,
    1024 ** 3,
  );
});
