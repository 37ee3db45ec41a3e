/** The adapters of a model: which there are, and what they take. */
import { createHash } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";

import { isName } from "../../config/config-schema.ts";
import type { AdapterFacts } from "../../domain/model.ts";
import { CheckpointInvalid, codeOf, readRequired } from "../../checkpoint/checkpoint-files.ts";
import { isFolder } from "./model-folders.ts";
import { readTensorHeaders } from "../../checkpoint/safetensors.ts";

export interface Adapter {
  readonly id: string;
  /** Absolute path of its folder. */
  readonly directory: string;
}

/**
 * Those that the configuration tells, in its order; then those in the model's own `adapters` folder, by name, whose ids
 * are their folders' names. Broken ones too: they say what is wrong.
 */
export const readAdapters = async (
  modelDirectory: string,
  declared: ReadonlyArray<Adapter>,
): Promise<ReadonlyArray<AdapterFacts>> => {
  const found = await ownAdapters(join(modelDirectory, "adapters"));
  const others = found.filter(({ id }) => !declared.some((adapter) => adapter.id === id));
  return Promise.all([...declared, ...others].map(readAdapter));
};

/** Room for as many of the largest as are loaded at once, and for the zeros of rows without one. */
export const adapterBytes = (adapters: ReadonlyArray<AdapterFacts>, maxAdapters: number): number =>
  (maxAdapters + 1) * Math.max(0, ...adapters.map(({ bytes }) => bytes));

const ownAdapters = async (directory: string): Promise<ReadonlyArray<Adapter>> => {
  if (!(await isFolder(directory))) return [];
  const folders = (await readdir(directory)).toSorted().map((name) => join(directory, name));
  const areFolders = await Promise.all(folders.map(isFolder));
  const named = folders.filter((folder, index) => areFolders[index] === true && isName(basename(folder)));
  return named.map((folder) => ({ id: basename(folder), directory: folder }));
};

const weightsFile = "adapters.safetensors";

/** As it is on disk now. Reads no weights. Throws CheckpointInvalid. */
export const readAdapterRevision = async (directory: string): Promise<string> =>
  (await readAdapterFiles(directory)).revision;

const readAdapterFiles = async (directory: string) => {
  const config = await readRequired(directory, "adapter_config.json");
  const { raw, tensors } = await readTensorHeaders(directory, weightsFile);
  // Training goes on to other numbers in the same shapes.
  const { size, mtimeMs } = await stat(join(directory, weightsFile));
  const hash = createHash("sha256").update(config).update(raw);
  return { tensors, revision: hash.update(`${size} ${mtimeMs} ${directory}`).digest("hex").slice(0, 12) };
};

const readAdapter = async ({ id, directory }: Adapter): Promise<AdapterFacts> => {
  try {
    const { tensors, revision } = await readAdapterFiles(directory);
    const numbers = [...tensors].map(([name, { shape }]) => heldAs(name) * shape.reduce((all, each) => all * each, 1));
    return {
      id,
      directory,
      revision,
      bytes: bytesPerFloat32 * numbers.reduce((all, each) => all + each, 0),
      problem: "",
    };
  } catch (error) {
    const problem = error instanceof CheckpointInvalid ? error.message : `its folder cannot be read (${codeOf(error)})`;
    return { id, directory, revision: "", bytes: 0, problem };
  }
};

const bytesPerFloat32 = 4;

/** An engine joins up to three layers and holds the B of each beside zeros for the others. */
const heldAs = (name: string): number => (name.endsWith(".lora_b") ? 3 : 1);
