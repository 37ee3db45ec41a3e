/** Finds a model's adapters and the memory that they need. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";

import { isName } from "../../config/config-schema.ts";
import type { AdapterFacts } from "../../domain/model.ts";
import { CheckpointInvalid, codeOf } from "../../checkpoint/checkpoint-files.ts";
import { isFolder } from "./model-folders.ts";
import { type ReadFolders, readHere } from "./read-sandboxed.ts";

export interface Adapter {
  readonly id: string;
  /** Absolute path of its folder. */
  readonly directory: string;
}

/**
 * The declared adapters in the configuration's order, then those in the model's own `adapters` folder by name, whose
 * ids are their folders' names. Broken ones are included, with what is wrong.
 */
export const readAdapters = async (
  modelDirectory: string,
  declared: ReadonlyArray<Adapter>,
  read: ReadFolders["adapter"] = readHere.adapter,
): Promise<ReadonlyArray<AdapterFacts>> => {
  const found = await ownAdapters(join(modelDirectory, "adapters"));
  const others = found.filter(({ id }) => !declared.some((adapter) => adapter.id === id));
  return Promise.all([...declared, ...others].map((adapter) => describeAdapter(adapter, read)));
};

/** Memory for as many of the largest adapters as are loaded at once, and for the zeros of rows without one. */
export const adapterBytes = (adapters: ReadonlyArray<AdapterFacts>, maxAdapters: number): number =>
  (maxAdapters + 1) * Math.max(0, ...adapters.map(({ bytes }) => bytes));

const ownAdapters = async (directory: string): Promise<ReadonlyArray<Adapter>> => {
  if (!(await isFolder(directory))) return [];
  const folders = (await readdir(directory)).toSorted().map((name) => join(directory, name));
  const areFolders = await Promise.all(folders.map(isFolder));
  const named = folders.filter((folder, index) => areFolders[index] === true && isName(basename(folder)));
  return named.map((folder) => ({ id: basename(folder), directory: folder }));
};

const describeAdapter = async ({ id, directory }: Adapter, read: ReadFolders["adapter"]): Promise<AdapterFacts> => {
  try {
    return { id, directory, ...(await read(directory)), problem: undefined };
  } catch (error) {
    const problem = error instanceof CheckpointInvalid ? error.message : `its folder cannot be read (${codeOf(error)})`;
    return { id, directory, revision: "", bytes: 0, problem };
  }
};
