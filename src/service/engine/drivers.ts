/** The drivers by the names of their engines, which are the values of `ServedModel.engine`. */
import { Duration, Effect, Layer } from "effect";

import { EngineConfig } from "../config/EngineConfig.ts";
import { localEngine } from "../domain/engine-names.ts";
import { EngineUnavailable } from "../domain/errors.ts";
import { Metrics } from "../telemetry/metrics/Metrics.ts";
import { type ConversationDriver, type Driver, Engines } from "./Engines.ts";
import { PrefixUse } from "./PrefixUse.ts";
import { readingEngine } from "./read-output.ts";
import { mlxDriver } from "./mlx/MlxEngine.ts";
import { backendDrivers } from "./backends/backend-drivers.ts";

export const layer: Layer.Layer<Engines, never, EngineConfig | Metrics> = Layer.effect(
  Engines,
  Effect.gen(function* () {
    const settings = yield* EngineConfig;
    const metrics = yield* Metrics;
    const prefixUse = new PrefixUse();
    const mlx = mlxDriver(settings, {
      onWork: (model, { rows, ms }) => metrics.engineStep(model, rows, ms / 1000),
      prefixUse,
    });
    return enginesOf({ [localEngine]: timed(mlx, metrics.loaded) }, backendDrivers(), prefixUse);
  }),
);

/** @param onStarted called with the duration of each successful start */
const timed = (driver: Driver, onStarted: (model: string, seconds: number) => void): Driver => ({
  ...driver,
  start: (facts, ...rest) =>
    Effect.map(Effect.timed(driver.start(facts, ...rest)), ([took, engine]) => {
      onStarted(facts.id, Duration.toSeconds(took));
      return engine;
    }),
});

type Named<D> = Readonly<Record<string, D>>;

/** Starts each model with the driver of its engine. */
export const enginesOf = (
  tokens: Named<Driver>,
  conversations: Named<ConversationDriver>,
  prefixUse = new PrefixUse(),
): Engines["Service"] =>
  Engines.of({
    prefixUse,
    prepare: (engine) => driverOf(tokens, engine)?.prepare ?? Effect.void,
    start: (facts, vocabulary, ...rest) => {
      const { id: model, engine } = facts;
      const driver = driverOf(tokens, engine);
      if (driver !== undefined) {
        return Effect.map(driver.start(facts, vocabulary, ...rest), (started) => readingEngine(started, vocabulary));
      }
      const cause = `there is no driver of this name; there are ${Object.keys(tokens).join(", ")}`;
      return Effect.fail(new EngineUnavailable({ model, engine, cause }));
    },
    conversations,
    versionOf: (engine) => (driverOf(tokens, engine) ?? driverOf(conversations, engine))?.version ?? "",
  });

const driverOf = <D>(drivers: Named<D>, engine: string): D | undefined =>
  Object.hasOwn(drivers, engine) ? drivers[engine] : undefined;
