import { Effect } from "effect";

import { type InvalidField, UnsupportedParameter } from "../domain/errors.ts";
import type { Models } from "../models/Models.ts";

/** Errors about the request itself. */
export type Refusal = InvalidField | UnsupportedParameter;

/**
 * Uses the catalog's id of the model in a refusal: the request may contain an alias or, for the default model, no name
 * at all. An unknown name stays as it was written.
 */
export const namingModel =
  (models: Models["Service"]) =>
  <A>(checked: Effect.Effect<A, Refusal>): Effect.Effect<A, Refusal> =>
    Effect.catchTag(checked, "UnsupportedParameter", ({ field, hint, model: asked }) =>
      Effect.flatMap(nameOf(models, asked), (model) => Effect.fail(new UnsupportedParameter({ field, model, hint }))),
    );

const nameOf = (models: Models["Service"], name: string): Effect.Effect<string> =>
  models.get(name).pipe(
    Effect.map(({ facts }) => facts.id),
    Effect.orElseSucceed(() => name || "default"),
  );
