/** The models of a folder. */
import { access, readdir, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

import type { ModelFacts } from "../domain/model.ts";
import { resolveDefaults } from "../prompt/effective-parameters.ts";
import { type CheckpointFacts, readCheckpointFacts } from "./checkpoint-facts.ts";
import { CheckpointInvalid, codeOf } from "./checkpoint-files.ts";
import { detectFamily, familyProfile } from "./families.ts";

export interface CatalogEntry {
  readonly facts: ModelFacts;
  /** Why the model cannot be used, in one sentence; empty when it can. Its facts are then mostly empty too. */
  readonly problem: string;
}

/**
 * @param directory a folder of model folders, or a model's own (it has a config.json)
 * @returns sorted by id, which is the folder's name; broken models too. Throws when the folder cannot be read.
 */
export const readCatalog = async (directory: string): Promise<ReadonlyArray<CatalogEntry>> => {
  const folders = (await exists(join(directory, "config.json"))) ? [resolve(directory)] : await subfolders(directory);
  const entries = await Promise.all(folders.map(readEntry));
  const counts = countNames(entries);
  return entries.map(({ facts, problem }) => ({
    facts: { ...facts, aliases: shortNames(facts.id).filter((alias) => counts.get(alias.toLowerCase()) === 1) },
    problem,
  }));
};

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

const subfolders = async (directory: string): Promise<ReadonlyArray<string>> => {
  const names = (await readdir(directory)).filter((name) => !name.startsWith("."));
  const paths = names.toSorted().map((name) => join(resolve(directory), name));
  const areFolders = await Promise.all(paths.map(isFolder));
  return paths.filter((_, index) => areFolders[index]);
};

/** Follows links; a dangling one is none. */
const isFolder = (path: string) =>
  stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );

const readEntry = async (directory: string): Promise<CatalogEntry> => {
  const id = basename(directory);
  // Folders are often named after the repository, with `--` for the slash.
  const names = { id, aliases: [], source: id.replace("--", "/") };
  try {
    return { facts: { ...names, ...(await readCheckpointFacts(directory, id)) }, problem: "" };
  } catch (error) {
    // Whatever a broken folder brings up: it must not take the other models with it.
    const problem = error instanceof CheckpointInvalid ? error.message : `its folder cannot be read (${codeOf(error)})`;
    return { facts: { ...names, ...unknownFacts(directory, id) }, problem };
  }
};

/** `org--Name-4bit` is also `Name-4bit` and `Name`. */
const shortNames = (id: string): ReadonlyArray<string> => {
  const name = id.replace(/^[^-]+(-[^-]+)*--/, "");
  const plain = name.replace(/(-mlx)?-(\d+-?bit|bf16|fp16|mxfp4)(-mlx)?$/i, "");
  return [...new Set([name, plain])].filter((alias) => alias !== id);
};

/** How many models go by a name, in lower case: one that two have names neither. */
const countNames = (entries: ReadonlyArray<CatalogEntry>): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>();
  for (const { facts } of entries) {
    for (const name of new Set([facts.id, ...shortNames(facts.id)].map((each) => each.toLowerCase()))) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return counts;
};

const unknownFacts = (directory: string, id: string): CheckpointFacts => {
  const family = detectFamily(id);
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
    defaults: resolveDefaults({}, familyProfile(family)),
    capabilities: { chat: false, tools: false, vision: false, logprobs: false, adapters: false, constraints: [] },
    engine: "mlx",
  };
};
