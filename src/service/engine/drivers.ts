/** The drivers by the names of their engines, as `ServedModel.engine` has them. */
import { Effect, Layer } from "effect";

import { EngineConfig } from "../config/EngineConfig.ts";
import { localEngine } from "../domain/engine-names.ts";
import { EngineUnavailable } from "../domain/errors.ts";
import { type ConversationDriver, type Driver, Engines } from "./Engine.ts";
import { readingEngine } from "./read-output.ts";
import { mlxDriver } from "./mlx/MlxEngine.ts";
import { openAiDrivers } from "./openai/OpenAiEngine.ts";

export const layer: Layer.Layer<Engines, never, EngineConfig> = Layer.effect(
  Engines,
  Effect.map(EngineConfig, (settings) => enginesOf({ [localEngine]: mlxDriver(settings) }, openAiDrivers())),
);

type Named<D> = Readonly<Record<string, D>>;

/** Starts each model with the driver of its engine. */
export const enginesOf = (tokens: Named<Driver>, conversations: Named<ConversationDriver>): Engines["Service"] =>
  Engines.of({
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
