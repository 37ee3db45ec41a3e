import { Effect } from "effect";

import { UnsupportedTask } from "../domain/errors.ts";
import type { Models, TokenModel } from "../models/Models.ts";

/** The model, for tasks that need its token ids. Fails for one whose engine takes conversations. `task` is named in the error. */
export const useTokens = (
  models: Models["Service"],
  name: string,
  task: string,
): Effect.Effect<TokenModel, UnsupportedTask | Effect.Error<ReturnType<Models["Service"]["use"]>>> =>
  Effect.flatMap(models.use(name), (model) => {
    if (model.takes === "tokens") return Effect.succeed(model);
    const hint = "its engine takes conversations and tells no tokens";
    return Effect.fail(new UnsupportedTask({ task, model: model.facts.id, hint }));
  });
