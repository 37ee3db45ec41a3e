/** The model folder as downloads see it: models at its top, incomplete ones in a hidden folder beside them. */
import { access, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";

import { type Origin, readOrigin, writeOrigin } from "../../checkpoint/origin-file.ts";

/** On the same file system as the models, so that a finished one is moved by one rename. */
const stagingFolder = join(".mlxd", "downloads");

/** Rejects with the system's errors. */
export class ModelFolder {
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Whether the folder is one model's own: then it has no place for another. */
  isOneModel(): Promise<boolean> {
    return exists(join(this.directory, "config.json"));
  }

  has(id: string): Promise<boolean> {
    return exists(join(this.directory, id, "config.json"));
  }

  originOf(id: string): Promise<Origin | undefined> {
    return readOrigin(join(this.directory, id));
  }

  /** Where a model's files are put together; what an earlier attempt left is still there. */
  async openStaging(name: string): Promise<string> {
    const staging = join(this.directory, stagingFolder, name);
    await mkdir(staging, { recursive: true });
    return staging;
  }

  /** From here on it is a model. Rejects with ENOTEMPTY or EEXIST when there is one of this id already. */
  async publish(staging: string, id: string, origin: Origin): Promise<void> {
    await writeOrigin(staging, origin);
    await rename(staging, join(this.directory, id));
  }

  /** Deletes what is left of downloads of this model at other commits. */
  async discardStaging(id: string, isKept: (name: string) => boolean): Promise<void> {
    const parent = join(this.directory, stagingFolder);
    const names = (await readdir(parent)).filter((name) => name.startsWith(`${id}@`) && !isKept(name));
    await Promise.all(names.map((name) => rm(join(parent, name), { recursive: true, force: true })));
  }
}

/** Bytes of a file; 0 where there is none. */
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
