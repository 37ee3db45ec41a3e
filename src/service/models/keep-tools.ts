/** What is needed for a model's prompts, read when it is first asked for. */
import { Cache, Duration, Effect, Exit } from "effect";

import { type FilesUnusable, ModelBroken, ModelNotDownloaded } from "../domain/errors.ts";
import type { CatalogEntry } from "./catalog.ts";
import { CheckpointInvalid, codeOf } from "./checkpoint-files.ts";
import type { PromptTools } from "./Models.ts";
import { readPromptTools } from "./prompt-tools.ts";

/** Kept once it is read; a failure for a moment only, as the files may have been mended. */
export const keepTools = (entry: CatalogEntry): Effect.Effect<Effect.Effect<PromptTools, FilesUnusable>> =>
  Effect.map(
    Cache.makeWith<"tools", PromptTools, FilesUnusable>(() => readTools(entry), {
      capacity: 1,
      timeToLive: (exit) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.seconds(5)),
    }),
    (cache) => Cache.get(cache, "tools"),
  );

/** Why the model cannot be used as its files are; undefined when it can. */
export const refusalOf = ({ facts: { id: model }, problem, download }: CatalogEntry): FilesUnusable | undefined => {
  if (download !== undefined) return new ModelNotDownloaded({ model, repository: download.repository });
  return problem === "" ? undefined : new ModelBroken({ model, cause: problem });
};

const readTools = (entry: CatalogEntry): Effect.Effect<PromptTools, FilesUnusable> => {
  const refusal = refusalOf(entry);
  if (refusal !== undefined) return Effect.fail(refusal);
  const { facts, profile } = entry;
  return Effect.tryPromise({
    try: () => readPromptTools(facts, profile),
    catch: (error) => new ModelBroken({ model: facts.id, cause: problemOf(error) }),
  });
};

const problemOf = (error: unknown): string =>
  error instanceof CheckpointInvalid ? error.message : `its folder cannot be read (${codeOf(error)})`;
