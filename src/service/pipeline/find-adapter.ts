import { Effect } from "effect";

import { AdapterBroken, AdapterNotFound } from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation.ts";
import type { AdapterFacts, ModelFacts } from "../domain/model.ts";

/** The adapter that the task asks for; undefined where it asks for none. Whether it fits the model its engine tells. */
export const findAdapter = (
  { adapter: id }: Pick<GenerationTask, "adapter">,
  { id: model, adapters }: Pick<ModelFacts, "id" | "adapters">,
): Effect.Effect<AdapterFacts | undefined, AdapterNotFound | AdapterBroken> => {
  if (id === undefined) return Effect.undefined;
  const found = adapters.find((adapter) => adapter.id === id);
  if (found === undefined) {
    return Effect.fail(new AdapterNotFound({ adapter: id, model, known: adapters.map((adapter) => adapter.id) }));
  }
  if (found.problem !== "") return Effect.fail(new AdapterBroken({ adapter: id, model, cause: found.problem }));
  return Effect.succeed(found);
};
