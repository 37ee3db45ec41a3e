/** Reads what is needed for a model's prompts on first use, and caches it. */
import { Cache, Duration, Effect, Exit, Option } from "effect";

import {
  type FilesUnusable,
  ModelBroken,
  type ModelChanged,
  ModelFilesMissing,
  ModelNotDownloaded,
  SandboxLost,
} from "../../domain/errors.ts";
import type { FolderEntry } from "../catalog/catalog.ts";
import { createVocabulary } from "../../prompt/Vocabulary.ts";
import type { TextModel } from "../../sandbox/lane/text-files.ts";
import { sandboxLost } from "../../sandbox/fault.ts";
import type { Sandbox } from "../../sandbox/Sandbox.ts";
import { readFolder } from "../files/read-sandboxed.ts";
import { makeGrammars } from "./grammars.ts";
import type { PromptTools } from "./PromptTools.ts";
import { makeTexts } from "./texts.ts";

/**
 * A success is cached for good, a failure only briefly, as the files may be repaired.
 *
 * @param unchanged fails if the files are no longer those that the entry describes
 */
export const cachedTools = (
  entry: FolderEntry,
  sandbox: Sandbox["Service"],
  unchanged: Effect.Effect<void, ModelChanged>,
): Effect.Effect<Effect.Effect<PromptTools, FilesUnusable | ModelChanged>> =>
  Effect.map(
    Cache.makeWith<"tools", PromptTools, FilesUnusable | ModelChanged>(() => readTools(entry, sandbox, unchanged), {
      capacity: 1,
      timeToLive: (exit) => {
        if (Exit.isSuccess(exit)) return Duration.infinity;
        const failure = Exit.findErrorOption(exit);
        return Option.isSome(failure) && failure.value instanceof SandboxLost ? Duration.zero : Duration.seconds(5);
      },
    }),
    (cache) => Cache.get(cache, "tools"),
  );

/** Why the model cannot be used because of its files; undefined if it can. */
export const refusalOf = ({ facts, problem, problemIs, download }: FolderEntry): FilesUnusable | undefined => {
  const { id: model } = facts;
  if (download !== undefined) return new ModelNotDownloaded({ model, repository: download.repository });
  if (problem === undefined) return undefined;
  switch (problemIs) {
    case "files":
      return new ModelBroken({ model, cause: problem });
    case "unread":
      return sandboxLost(model, problem);
    case "missing":
      return new ModelFilesMissing({ model, cause: problem });
  }
};

const readTools = Effect.fnUntraced(function* (
  entry: FolderEntry,
  sandbox: Sandbox["Service"],
  unchanged: Effect.Effect<void, ModelChanged>,
): Effect.fn.Return<PromptTools, FilesUnusable | ModelChanged> {
  const refusal = refusalOf(entry);
  if (refusal !== undefined) return yield* refusal;
  const { facts, profile } = entry;
  const model: TextModel = {
    directory: facts.directory,
    family: facts.family,
    systemRole: profile.supportsSystem,
    standIn: profile.chatTemplate,
    cleanUp: profile.postprocess,
    vocabularySize: facts.vocabularySize,
  };
  const loaded = yield* Effect.mapError(
    sandbox.run("loadText", model, { inputBytes: 0, subject: model.directory }),
    ({ cause, reason }) =>
      reason === "killed"
        ? sandboxLost(facts.id, `${loading} ${cause}`)
        : new ModelBroken({ model: facts.id, cause: `${loading} ${cause}` }),
  );
  // The result, or the error, may come from files that have changed meanwhile.
  yield* unchanged;
  if ("problem" in loaded) return yield* new ModelBroken({ model: facts.id, cause: loaded.problem });
  return {
    facts,
    profile,
    vocabulary: createVocabulary(loaded.vocabulary),
    outputFormat: loaded.outputFormat,
    reasoningMarks: loaded.reasoningMarks,
    template: loaded.template,
    texts: makeTexts(sandbox, facts.id, { ...model, digest: loaded.digest }, loaded.templateFault, unchanged),
    grammars: makeGrammars(sandbox, facts.id),
    adapterRevision: (directory) =>
      Effect.map(readFolder(sandbox, "readAdapter", directory), (read) =>
        "problem" in read ? undefined : read.revision,
      ),
  };
});

const loading = "reading its tokenizer and chat template, and trying them on a short text,";
