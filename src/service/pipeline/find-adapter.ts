import { Effect } from "effect";

import { AdapterBroken, AdapterNotFound, ModelChanged } from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import type { AdapterFacts } from "../domain/model.ts";
import type { PromptTools } from "../models/prompting/PromptTools.ts";

/**
 * The adapter that the task names; undefined if it names none. The engine checks whether it fits the model. Fails with
 * ModelChanged if its files have changed since the catalog was read: engines reload an evicted adapter from its files, and
 * key cached prompts by its revision.
 */
export const findAdapter = (
  { adapter: id }: Pick<GenerationTask, "adapter">,
  { facts: { id: model, adapters }, adapterRevision }: Pick<PromptTools, "facts" | "adapterRevision">,
): Effect.Effect<AdapterFacts | undefined, AdapterNotFound | AdapterBroken | ModelChanged> => {
  if (id === undefined) return Effect.undefined;
  const found = adapters.find((adapter) => adapter.id === id);
  if (found === undefined) {
    return Effect.fail(new AdapterNotFound({ adapter: id, model, known: adapters.map((adapter) => adapter.id) }));
  }
  if (found.problem !== undefined) return Effect.fail(new AdapterBroken({ adapter: id, model, cause: found.problem }));
  return Effect.flatMap(adapterRevision(found.directory), (now) =>
    now === found.revision ? Effect.succeed(found) : Effect.fail(new ModelChanged({ model, retryAfterMs: 1_000 })),
  );
};
