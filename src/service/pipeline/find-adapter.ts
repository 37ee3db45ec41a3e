import { Effect } from "effect";

import { AdapterBroken, AdapterNotFound, ModelChanged } from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation.ts";
import type { AdapterFacts, ModelFacts } from "../domain/model.ts";
import { readAdapterRevision } from "../models/files/adapters.ts";

/**
 * The adapter that the task asks for; undefined where it asks for none. Whether it fits the model its engine tells. Fails
 * with ModelChanged where its files are others than the catalog tells: engines read them anew when they have let it go, and
 * keep what was computed with it under its revision.
 */
export const findAdapter = (
  { adapter: id }: Pick<GenerationTask, "adapter">,
  { id: model, adapters }: Pick<ModelFacts, "id" | "adapters">,
): Effect.Effect<AdapterFacts | undefined, AdapterNotFound | AdapterBroken | ModelChanged> => {
  if (id === undefined) return Effect.undefined;
  const found = adapters.find((adapter) => adapter.id === id);
  if (found === undefined) {
    return Effect.fail(new AdapterNotFound({ adapter: id, model, known: adapters.map((adapter) => adapter.id) }));
  }
  if (found.problem !== "") return Effect.fail(new AdapterBroken({ adapter: id, model, cause: found.problem }));
  return Effect.flatMap(Effect.option(Effect.tryPromise(() => readAdapterRevision(found.directory))), (now) =>
    now._tag === "Some" && now.value === found.revision
      ? Effect.succeed(found)
      : Effect.fail(new ModelChanged({ model, retryAfterMs: 1_000 })),
  );
};
