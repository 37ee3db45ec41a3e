/** The drivers by the names of their engines, as `ModelFacts.engine` has them. */
import { Effect, Layer } from "effect";

import { EngineConfig } from "../config/EngineConfig.ts";
import { localEngine } from "../domain/engine-names.ts";
import { EngineUnavailable } from "../domain/errors.ts";
import { type Driver, Engines } from "./Engine.ts";
import { mlxDriver } from "./mlx/MlxEngine.ts";

export const layer: Layer.Layer<Engines, never, EngineConfig> = Layer.effect(
  Engines,
  Effect.map(EngineConfig, (settings) => Engines.of(driverOf({ [localEngine]: mlxDriver(settings) }))),
);

/** A driver that leaves each model to that of its engine. */
export const driverOf = (drivers: Readonly<Record<string, Driver>>): Driver => ({
  start: (facts, ...rest) => {
    const { id: model, engine } = facts;
    const driver = Object.hasOwn(drivers, engine) ? drivers[engine] : undefined;
    if (driver !== undefined) return driver.start(facts, ...rest);
    const cause = `there is no driver of this name; there are ${Object.keys(drivers).join(", ")}`;
    return Effect.fail(new EngineUnavailable({ model, engine, cause }));
  },
});
