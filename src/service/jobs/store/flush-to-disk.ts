/** Tells the disk to keep what was written to files, and the names of files in directories. */
import { closeSync, fsyncSync, openSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Of a file, or the names in a directory. */
export const flush = (path: string): void => {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } catch (error) {
    // Some file systems cannot flush a directory.
    if (!(error instanceof Error && "code" in error && error.code === "EINVAL")) throw error;
  } finally {
    closeSync(file);
  }
};

/** Of a directory with all that is in it. */
export const flushAll = (directory: string): void => {
  for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) flush(join(directory, name));
  flush(directory);
};
