/** Models as the pipeline gets them. */
import { Effect, Exit, Scope } from "effect";
import { TestClock } from "effect/testing";

import type { Engine } from "../../src/service/engine/Engine.ts";
import { Models, type TokenModel } from "../../src/service/models/Models.ts";
import type { PromptTools } from "../../src/service/models/prompting/PromptTools.ts";
import { useTokens } from "../../src/service/pipeline/use-tokens.ts";
import { withFilesOfNow } from "../../src/service/pipeline/with-files-of-now.ts";
import { fibersRan } from "./fibers-ran.ts";

export const tokenModel = (
  tools: PromptTools,
  engine: Effect.Effect<Engine> = Effect.die("it is not asked for its engine"),
): TokenModel => ({ ...tools, takes: "tokens", lease: () => engine });

/** The model that has this name now. */
export const modelNamed = (name: string) => Effect.flatMap(Models, (models) => useTokens(models, name, "a test"));

/** The engine of the model that has this name now. */
export const lease = (name: string) => withFilesOfNow(Effect.flatMap(modelNamed(name), (model) => model.lease()));

/** Uses a model for a moment, ten milliseconds after what happened before. */
export const useBriefly = (name: string) =>
  Effect.gen(function* () {
    yield* TestClock.adjust(10);
    yield* Effect.scoped(lease(name));
    yield* fibersRan;
  });

/** Leases a model's engine until `giveBack` is run. */
export const hold = Effect.fnUntraced(function* (name: string) {
  const scope = yield* Scope.make();
  const engine = yield* Scope.provide(lease(name), scope);
  return { engine, giveBack: Effect.andThen(Scope.close(scope, Exit.void), fibersRan) };
});
