/**
 * The cache that other clients of the hub share on this machine. It has a folder for each repository, which contains
 * `refs/` with the commits of branches, `snapshots/` with the files of each commit, and `blobs/` with the contents,
 * named by the hub's hashes, which the snapshots link to.
 * https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
import { copyFile, constants, link, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, join, relative, sep } from "node:path";

import type { Checksum, RemoteFile } from "./choose-files.ts";

interface Snapshot {
  readonly commit: string;
  /** Absolute path of its folder. */
  readonly directory: string;
  readonly files: ReadonlyArray<RemoteFile>;
}

export class HubCache {
  private readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
  }

  /** Undefined if nothing of this revision is here; single files may be missing. */
  async snapshot(repository: string, revision: string): Promise<Snapshot | undefined> {
    const folder = this.folderOf(repository);
    const commit = isCommit(revision) ? revision : await readCommit(join(folder, "refs", revision));
    if (commit === undefined) return undefined;
    const directory = join(folder, "snapshots", commit);
    const names = await readdir(directory).catch(() => []);
    const files = await Promise.all(names.map((name) => describe(folder, join(directory, name))));
    const present = files.filter((file) => file !== undefined);
    return present.length > 0 ? { commit, directory, files: present } : undefined;
  }

  /**
   * Puts a file of the cache at a path, which must not exist yet: as a hard link if the file system allows it,
   * otherwise as a copy. False if the cache does not have the file. Its content is not verified.
   */
  async take(repository: string, commit: string, { path, size, checksum }: RemoteFile, to: string): Promise<boolean> {
    const folder = this.folderOf(repository);
    const places = [
      ...(checksum === undefined ? [] : [join(folder, "blobs", checksum.digest)]),
      join(folder, "snapshots", commit, path),
    ];
    for (const place of places) {
      const content = await contentOf(folder, place);
      if (content === undefined || (await stat(content)).size !== size) continue;
      await link(content, to).catch(() => copyFile(content, to, constants.COPYFILE_FICLONE));
      return true;
    }
    return false;
  }

  private folderOf(repository: string): string {
    return join(this.directory, `models--${repository.replace("/", "--")}`);
  }
}

const isCommit = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);

const readCommit = async (file: string): Promise<string | undefined> => {
  const text = (await readFile(file, "utf8").catch(() => "")).trim();
  return isCommit(text) ? text : undefined;
};

/** The file that a name in the cache refers to, which must be within the repository's folder. */
const contentOf = async (folder: string, path: string): Promise<string | undefined> => {
  try {
    const [root, content] = [await realpath(folder), await realpath(path)];
    const isInside = !relative(root, content).split(sep).includes("..");
    return isInside && (await stat(content)).isFile() ? content : undefined;
  } catch {
    return undefined;
  }
};

const describe = async (folder: string, path: string): Promise<RemoteFile | undefined> => {
  const content = await contentOf(folder, path);
  if (content === undefined) return undefined;
  return { path: basename(path), size: (await stat(content)).size, checksum: checksumOf(basename(content)) };
};

/** A blob is named by the hub's hash. Caches that were copied without links have only file names. */
const checksumOf = (digest: string): Checksum | undefined => {
  if (/^[0-9a-f]{64}$/.test(digest)) return { algorithm: "sha256", digest };
  return isCommit(digest) ? { algorithm: "git-blob-sha1", digest } : undefined;
};
