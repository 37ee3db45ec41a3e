/** Models as the pipeline gets them. */
import { Effect } from "effect";

import type { Engine } from "../../src/service/engine/Engine.ts";
import { Models, type TokenModel } from "../../src/service/models/Models.ts";
import type { PromptTools } from "../../src/service/models/prompting/PromptTools.ts";
import { useTokens } from "../../src/service/pipeline/use-tokens.ts";
import { withFilesOfNow } from "../../src/service/pipeline/with-files-of-now.ts";

export const tokenModel = (
  tools: PromptTools,
  engine: Effect.Effect<Engine> = Effect.die("it is not asked for its engine"),
): TokenModel => ({ ...tools, takes: "tokens", lease: () => engine });

/** The model that has this name now. */
export const modelNamed = (name: string) => Effect.flatMap(Models, (models) => useTokens(models, name, "a test"));

/** The engine of the model that has this name now. */
export const lease = (name: string) => withFilesOfNow(Effect.flatMap(modelNamed(name), (model) => model.lease()));
