/** The model folder: models at its top level, and incomplete downloads in a hidden folder beside them. */
import { access, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { type Origin, readOrigin, writeOrigin } from "../../checkpoint/origin-file.ts";

/** On the same file system as the models, so that a rename moves a complete download into place. */
const stagingFolder = join(".mlxd", "downloads");

/** Rejects with the system's errors. */
export class ModelFolder {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Whether the folder is itself a model, and so has no room for another. */
  isOneModel(): Promise<boolean> {
    return exists(join(this.directory, "config.json"));
  }

  has(id: string): Promise<boolean> {
    return exists(join(this.directory, id, "config.json"));
  }

  originOf(id: string): Promise<Origin | undefined> {
    return readOrigin(join(this.directory, id));
  }

  /** The folder in which a model's files are collected; it may contain files of an earlier attempt. */
  async openStaging(name: string): Promise<string> {
    const staging = join(this.directory, stagingFolder, name);
    await mkdir(staging, { recursive: true });
    return staging;
  }

  /** Makes the download a model. Rejects with ENOTEMPTY or EEXIST if a model with this id exists. */
  async publish(staging: string, id: string, origin: Origin): Promise<void> {
    await writeOrigin(staging, origin);
    await rename(staging, join(this.directory, id));
  }

  /** Deletes incomplete downloads of this model at other commits. */
  async discardStaging(id: string, isKept: (name: string) => boolean): Promise<void> {
    const parent = join(this.directory, stagingFolder);
    const names = (await readdir(parent)).filter((name) => name.startsWith(`${id}@`) && !isKept(name));
    await Promise.all(names.map((name) => rm(join(parent, name), { recursive: true, force: true })));
  }
}

/** The size of a file in bytes; 0 if it does not exist. */
export const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
