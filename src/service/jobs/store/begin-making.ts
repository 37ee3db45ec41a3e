/**
 * A database whose making was cut short, by a full disk or a kill, looks like a database and is none. A file beside it
 * says that it is being made, until all of it is on the disk.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Call it before the database in this directory is opened, and what it returns once it was. What is left of an
 * unfinished one is removed: nothing was ever stored in it.
 */
export const beginMaking = (directory: string): (() => void) => {
  const mark = `${directory}.unfinished`;
  if (existsSync(mark)) rmSync(directory, { recursive: true, force: true });
  else if (existsSync(directory) && readdirSync(directory).length > 0) return () => {};
  writeFileSync(mark, "");
  sync(dirname(directory));
  return () => {
    for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) sync(join(directory, name));
    sync(directory);
    sync(dirname(directory));
    // Only now, and for good: with the mark all of it would be removed.
    rmSync(mark);
    sync(dirname(directory));
  };
};

const sync = (path: string): void => {
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
