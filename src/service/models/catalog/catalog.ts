/** Reads the catalog of models: those that the configuration file declares and those in the model folder. */
import { basename } from "node:path";
import { Result } from "effect";

import type { ModelsFile } from "../../config/config-file.ts";
import type { ModelsSettings } from "../../config/ModelsConfig.ts";
import { localEngine } from "../../domain/engine-names.ts";
import { ConfigurationInvalid } from "../../domain/errors.ts";
import type { Family, FamilyProfile } from "../../domain/family.ts";
import type { HubModel, ModelFacts } from "../../domain/model.ts";
import { resolveDefaults } from "../../prompt/effective-parameters.ts";
import { readAdapters } from "../files/adapters.ts";
import { CheckpointUnread, type ReadFolders, readHere } from "../files/read-sandboxed.ts";
import {
  type ConversationDrivers,
  type ConversationEntry,
  declaredBackend,
  readConversationModel,
} from "./declared-conversation-model.ts";
import { type CheckpointFacts, factsOf, type FactsOverrides } from "./checkpoint-facts.ts";
import { CheckpointInvalid, codeOf } from "../../checkpoint/checkpoint-files.ts";
import {
  declaredDefaults,
  type DeclaredModel,
  declaredProfile,
  declaredRepository,
  defaultPolicy,
  type ModelPolicy,
  readDeclaredModel,
} from "./declared-model.ts";
import { detectFamily, overriddenProfile } from "./families.ts";
import { isFolder, modelFolders } from "../files/model-folders.ts";
import { assignAliases } from "../names/model-names.ts";
import { resolveName } from "../names/resolve-name.ts";

export type CatalogEntry = FolderEntry | ConversationEntry;

/** A model whose files are in the model folder or will be downloaded into it. */
export interface FolderEntry {
  readonly takes: "tokens";
  readonly facts: ModelFacts;
  /** The family's settings, overridden by the configuration. */
  readonly profile: FamilyProfile;
  readonly policy: ModelPolicy;
  /** Its draft model. */
  readonly draft: Pick<FolderEntry, "facts" | "problem"> | undefined;
  /** Why the model cannot be used, in one sentence; undefined if it can. With a problem most of its facts are empty. */
  readonly problem: string | undefined;
  /**
   * The kind of problem: its files are invalid, its folder could not be read to the end (which says nothing about the
   * files), or the folder is missing.
   */
  readonly problemIs: "files" | "unread" | "missing";
  /** Parts of its files that are not used, each in one sentence. */
  readonly notes: ReadonlyArray<string>;
  /**
   * Where to download it from while its folder is missing; undefined if the folder exists or nothing names a source.
   */
  readonly download: HubModel | undefined;
}

/**
 * @param read how to read folders: other people's files are untrusted, so the service reads them in the sandbox
 * @param drivers the engines that declared models may name besides the model folder's own
 * @returns the declared models in the file's order, then the other folders by name, whose ids are their names; broken
 *   models included. Throws ConfigurationInvalid, and the system's error if the model folder cannot be read.
 */
export const readCatalog = async (
  { directory, file = noFile }: Pick<ModelsSettings, "directory" | "file">,
  read: ReadFolders = readHere,
  drivers: ConversationDrivers = {},
): Promise<ReadonlyArray<CatalogEntry>> => {
  const folders = await modelFolders(directory);
  const conversations = new Map<string, ConversationEntry>();
  for (const [id, model] of Object.entries(file.models)) {
    const backend = declaredBackend(file, id, model, drivers);
    if (backend !== undefined) conversations.set(id, readConversationModel(file, id, model, backend, drivers));
  }
  const declared = await Promise.all(
    Object.entries(file.models)
      .filter(([id]) => !conversations.has(id))
      .map(([id, model]) => readDeclaredModel(file, { directory, folders }, id, model)),
  );
  const claimed = new Set(declared.map((model) => model.directory));
  const found = folders.filter((folder) => !claimed.has(folder) && !holdsAdapter(folder, declared)).map(asDeclared);
  const models = [...declared, ...found];
  const named = [
    ...models.map((model) => ({
      id: model.id,
      aliases: model.declaration.aliases ?? [],
      source: sourceOf(model),
      folder: basename(model.directory),
    })),
    ...Array.from(conversations.values(), ({ facts: { id, aliases } }) => ({ id, aliases, source: id, folder: id })),
  ];
  const assigned = assignAliases(
    named.map((model) => ({
      ...model,
      invalid: (index, problem) =>
        file.invalid(["models", model.id, ...(index === undefined ? [] : ["aliases", index])], problem),
    })),
  );
  const aliases = new Map(named.map(({ id }, index) => [id, assigned[index] ?? []]));
  const readEntries = await Promise.all(
    models.map((model) => readEntry(file, model, aliases.get(model.id) ?? [], read)),
  );
  const entries = new Map<string, CatalogEntry>();
  for (const [id, entry] of conversations) entries.set(id, withTokenizer(file, entry, readEntries));
  for (const entry of readEntries) entries.set(entry.facts.id, withDraft(file, entry, readEntries));
  const order = [...Object.keys(file.models), ...found.map(({ id }) => id)];
  return order.flatMap((id) => entries.get(id) ?? []);
};

const noFile: ModelsFile = {
  directory: "/",
  models: {},
  families: {},
  backends: new Map(),
  invalid: (path, problem) => new ConfigurationInvalid({ file: "", line: 0, key: path.join("."), problem }),
};

const asDeclared = (directory: string): DeclaredModel => ({
  id: basename(directory),
  declaration: {},
  directory,
  policy: defaultPolicy,
});

/** A folder of declared adapters is not a model. */
const holdsAdapter = (folder: string, declared: ReadonlyArray<DeclaredModel>): boolean =>
  declared.some(({ policy }) => policy.adapters.some(({ directory }) => `${directory}/`.startsWith(`${folder}/`)));

/** Folders are often named after the repository, with `--` for the slash. */
const sourceOf = ({ declaration, directory }: DeclaredModel): string =>
  declaration.repository ?? basename(directory).replace("--", "/");

const readEntry = async (
  file: ModelsFile,
  model: DeclaredModel,
  aliases: ReadonlyArray<string>,
  read: ReadFolders,
): Promise<FolderEntry> => {
  const { id, declaration, directory, policy } = model;
  const profileOf = (family: Family) => overriddenProfile(family, declaredProfile(file, family));
  const overrides = { family: declaration.family, defaults: declaredDefaults(declaration), profileOf };
  const names = { id, aliases, source: sourceOf(model) };
  // An id that a person has chosen may say nothing about the family.
  const telling = [id, names.source].find((name) => detectFamily(name) !== "unknown") ?? id;
  const adapters = await readAdapters(directory, policy.adapters, read.adapter);
  const entry = (
    facts: CheckpointFacts,
    problem: string | undefined,
    { download, notes = [], problemIs = "files" }: Partial<Pick<FolderEntry, "download" | "notes" | "problemIs">> = {},
  ): FolderEntry => ({
    takes: "tokens",
    facts: { ...names, ...facts, adapters },
    profile: profileOf(facts.family),
    policy,
    draft: undefined,
    problem,
    problemIs,
    notes,
    download,
  });
  try {
    const { notes, ...checkpoint } = await read.checkpoint(directory);
    const contextLength = contextLengthOf(file, model, checkpoint.contextLength);
    const facts = { ...factsOf(checkpoint, telling, overrides), contextLength };
    return entry(facts, undefined, { notes });
  } catch (error) {
    if (error instanceof ConfigurationInvalid) throw error;
    // Whatever is wrong with one folder must not affect the other models.
    const problem = error instanceof CheckpointInvalid ? error.message : `its folder cannot be read (${codeOf(error)})`;
    const facts = unknownFacts(directory, telling, overrides);
    if (await isFolder(directory)) {
      return entry(facts, problem, { problemIs: error instanceof CheckpointUnread ? "unread" : "files" });
    }
    const download = downloadOf(model);
    const missing = download === undefined ? "its folder" : `its repository ${download.repository}`;
    return entry(facts, `${missing} is not in the model folder`, { download, problemIs: "missing" });
  }
};

/** A model whose folder was chosen explicitly is not downloaded. */
const downloadOf = ({ id, declaration, policy }: DeclaredModel): HubModel | undefined => {
  const repository = declaredRepository(id, declaration);
  if (repository === undefined || declaration.path !== undefined) return undefined;
  return { repository, revision: policy.revision ?? "" };
};

const contextLengthOf = (file: ModelsFile, { id, declaration }: DeclaredModel, own: number): number => {
  const asked = declaration.context_length ?? own;
  if (asked <= own) return asked;
  throw file.invalid(["models", id, "context_length"], `${asked} is more than the model's own ${own}`);
};

/** Looks the model up whose tokenizer it uses. */
const withTokenizer = (
  file: ModelsFile,
  entry: ConversationEntry,
  entries: ReadonlyArray<FolderEntry>,
): ConversationEntry => {
  if (entry.tokenizer === undefined) return entry;
  const found = resolveName(
    entries.map(({ facts }) => facts),
    entry.tokenizer,
  );
  if (Result.isSuccess(found)) return { ...entry, tokenizer: found.success.id };
  throw file.invalid(["models", entry.facts.id, "tokenizer"], `in the model folder ${found.failure.message}`);
};

/** Looks the draft model up by its id. */
const withDraft = (file: ModelsFile, entry: FolderEntry, entries: ReadonlyArray<FolderEntry>): FolderEntry => {
  const { facts, profile, policy } = entry;
  if (policy.draft === undefined) return entry;
  const invalid = (problem: string) => file.invalid(["models", facts.id, "draft"], problem);
  const draft = resolveName(
    entries.map((each) => each.facts),
    policy.draft,
  );
  if (Result.isFailure(draft)) throw invalid(draft.failure.message);
  if (draft.success === facts) throw invalid("a model does not draft for itself");
  if (!profile.allowsDraft) throw invalid(`models of the family ${facts.family} run without a draft`);
  const own = entries.find((each) => each.facts === draft.success);
  return {
    ...entry,
    policy: { ...policy, draft: draft.success.id },
    draft: own && { facts: own.facts, problem: own.problem },
  };
};

const unknownFacts = (directory: string, name: string, overrides: FactsOverrides): CheckpointFacts => {
  const family = overrides.family ?? detectFamily(name);
  return {
    directory,
    revision: "",
    architecture: "",
    family,
    contextLength: 0,
    vocabularySize: 0,
    parameterCount: 0,
    estimatedBytes: 0,
    eosTokenIds: [],
    defaults: resolveDefaults(overrides.defaults ?? {}, overrides.profileOf?.(family) ?? {}),
    capabilities: {
      chat: false,
      tools: false,
      vision: false,
      logprobs: false,
      adapters: false,
      embeddings: false,
      constraints: [],
    },
    embedding: { pooling: "last-token", dimensions: 0, trained: false, matryoshka: undefined, problem: undefined },
    engine: localEngine,
  };
};
