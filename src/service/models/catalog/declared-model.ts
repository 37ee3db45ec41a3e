/** Reads the declaration of one model in mlxd.yaml and checks it against the model folder. */
import { basename, resolve } from "node:path";
import { Result } from "effect";

import type { ModelsFile } from "../../config/config-file.ts";
import type { FamilyDeclaration, ModelDeclaration } from "../../config/config-schema.ts";
import type { Family, FamilyProfile } from "../../domain/family.ts";
import type { ModelDefaults } from "../../domain/model.ts";
import { present } from "../../domain/present.ts";
import { checkRepository } from "../names/repository.ts";
import type { Adapter } from "../files/adapters.ts";
import { isFolder, isInside } from "../files/model-folders.ts";

/** How a model is kept in memory, and what belongs to it. */
export interface ModelPolicy {
  /** Never unloaded to make room. */
  readonly pinned: boolean;
  /** Unloaded after this time without use; undefined for the service's default. */
  readonly ttlMs: number | undefined;
  /** -100..100: models with a lower priority are evicted first. */
  readonly priority: number;
  /** The revision of the repository to download; undefined for the newest. */
  readonly revision: string | undefined;
  /** Id of its draft model. */
  readonly draft: string | undefined;
  readonly adapters: ReadonlyArray<Adapter>;
}

export const defaultPolicy: ModelPolicy = {
  pinned: false,
  ttlMs: undefined,
  priority: 0,
  revision: undefined,
  draft: undefined,
  adapters: [],
};

export interface DeclaredModel {
  readonly id: string;
  readonly declaration: ModelDeclaration;
  /** Absolute path; the folder may be missing. */
  readonly directory: string;
  readonly policy: ModelPolicy;
}

/** The model folder and the models in it. */
interface ModelFolder {
  readonly directory: string;
  readonly folders: ReadonlyArray<string>;
}

/** The draft's name is not resolved yet. Throws ConfigurationInvalid. */
export const readDeclaredModel = async (
  file: ModelsFile,
  root: ModelFolder,
  id: string,
  declaration: ModelDeclaration,
): Promise<DeclaredModel> => {
  const invalid = (key: ReadonlyArray<string | number>, problem: string) =>
    file.invalid(["models", id, ...key], problem);
  const inside = async (path: string, key: ReadonlyArray<string | number>): Promise<string> => {
    const absolute = resolve(file.directory, path);
    if (await isInside(root.directory, absolute)) return absolute;
    throw invalid(key, `"${path}" is outside of the model folder, which service.models sets`);
  };
  if (declaration.tokenizer !== undefined)
    throw invalid(["tokenizer"], "is for models of other servers: this one has its own");
  if (declaration.vision !== undefined)
    throw invalid(["vision"], "is for models of other servers: no engine here takes images");
  if (declaration.revision !== undefined && declaredRepository(id, declaration) === undefined) {
    throw invalid(["revision"], "there is no repository that it could be a revision of");
  }
  const adapters: Adapter[] = [];
  for (const [index, adapter] of (declaration.adapters ?? []).entries()) {
    if (adapters.some((other) => other.id === adapter.id)) {
      throw invalid(["adapters", index, "id"], `"${adapter.id}" is there twice`);
    }
    const directory = await inside(adapter.path, ["adapters", index, "path"]);
    if (!(await isFolder(directory))) {
      throw invalid(["adapters", index, "path"], `there is no folder "${adapter.path}"`);
    }
    adapters.push({ id: adapter.id, directory });
  }
  if (declaration.model !== undefined) {
    throw invalid(
      ["model"],
      "is for models of other engines: this one is the folder's own; repository or path name it",
    );
  }
  if (declaration.memory_bytes !== undefined) {
    throw invalid(
      ["memory_bytes"],
      "is for a model whose server mlxd starts: what this one needs is known of its files",
    );
  }
  const { path } = declaration;
  return {
    id,
    declaration,
    directory: path === undefined ? await impliedFolder(root, id, declaration, invalid) : await inside(path, ["path"]),
    policy: policyOf(declaration, adapters),
  };
};

export const policyOf = (
  { pinned, ttl, priority, revision, draft }: ModelDeclaration,
  adapters: ReadonlyArray<Adapter>,
): ModelPolicy => ({
  pinned: pinned ?? defaultPolicy.pinned,
  ttlMs: ttl === undefined ? defaultPolicy.ttlMs : lifetimeMs(ttl),
  priority: priority ?? defaultPolicy.priority,
  revision,
  draft,
  adapters,
});

/** The repository that it comes from, which may be its id. */
export const declaredRepository = (id: string, { path, repository }: ModelDeclaration): string | undefined =>
  repository ?? (path === undefined && Result.isSuccess(checkRepository(id)) ? id : undefined);

/** The declared defaults by their names in the domain; missing ones are absent. */
export const declaredDefaults = ({ defaults = {} }: ModelDeclaration): Partial<ModelDefaults> =>
  present({
    temperature: defaults.temperature,
    topP: defaults.top_p,
    topK: defaults.top_k,
    minP: defaults.min_p,
    repetitionPenalty: defaults.repetition_penalty,
    presencePenalty: defaults.presence_penalty,
    frequencyPenalty: defaults.frequency_penalty,
    maxOutputTokens: defaults.max_output_tokens,
    stopSequences: defaults.stop_sequences,
  });

export const declaredProfile = (
  { families }: Pick<ModelsFile, "families">,
  family: Family,
): Partial<FamilyProfile> | undefined => {
  const declared: FamilyDeclaration | undefined = families[family];
  return (
    declared &&
    present({
      temperature: declared.temperature,
      topP: declared.top_p,
      maxOutputTokens: declared.max_output_tokens,
      stopSequences: declared.stop_sequences,
      chatTemplate: declared.chat_template,
      supportsSystem: declared.supports_system,
      supportsVision: declared.supports_vision,
      allowsDraft: declared.draft,
      postprocess: declared.clean_up,
    })
  );
};

/** Without a path, the folder of its repository or the folder with its name. */
const impliedFolder = async (
  { directory, folders }: ModelFolder,
  id: string,
  { repository = id }: ModelDeclaration,
  invalid: (key: ReadonlyArray<string>, problem: string) => Error,
): Promise<string> => {
  const name = repository.replace("/", "--");
  // The hub may spell the name with different case, which the downloaded folder then has.
  const found =
    folders.find((folder) => basename(folder) === name) ??
    folders.find((folder) => basename(folder).toLowerCase() === name.toLowerCase());
  if (found !== undefined) return found;
  const nested = resolve(directory, repository);
  if (!(await isInside(directory, nested))) throw invalid([], "its folder is outside of the model folder");
  return (await isFolder(nested)) ? nested : resolve(directory, name);
};

/** The schema has checked that it is a whole number with a unit. */
const lifetimeMs = (text: string): number => Number(text.slice(0, -1)) * (unitMs[text.slice(-1)] ?? 0);
const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
