/** A folder as the hub's own clients keep one: contents by their hashes, and snapshots that link to them. */
import { createHash } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { hubCommit } from "./hub-server.ts";

interface CacheOptions {
  readonly commit?: string;
  readonly branch?: string;
  /** Whether snapshots hold the files themselves, as in a cache that was copied without its links. */
  readonly isPlain?: boolean;
  /** Larger files go by a sha256. */
  readonly lfsFrom?: number;
}

export const writeHubCache = (
  directory: string,
  repository: string,
  files: Readonly<Record<string, Uint8Array>>,
  { commit = hubCommit, branch = "main", isPlain = false, lfsFrom = 10_000 }: CacheOptions = {},
): void => {
  const folder = join(directory, `models--${repository.replace("/", "--")}`);
  const [refs, blobs, snapshot] = [join(folder, "refs"), join(folder, "blobs"), join(folder, "snapshots", commit)];
  for (const each of [refs, blobs, snapshot]) mkdirSync(each, { recursive: true });
  writeFileSync(join(refs, branch), commit);
  for (const [path, content] of Object.entries(files)) {
    if (isPlain) {
      writeFileSync(join(snapshot, path), content);
      continue;
    }
    const digest = content.length < lfsFrom ? gitBlob(content) : createHash("sha256").update(content).digest("hex");
    writeFileSync(join(blobs, digest), content);
    symlinkSync(join("..", "..", "blobs", digest), join(snapshot, path));
  }
};

const gitBlob = (content: Uint8Array): string =>
  createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
