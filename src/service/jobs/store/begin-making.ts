/**
 * Marks a database that is being created. If its creation is cut short, by a full disk or a kill, it looks like a
 * database but cannot be used. A file beside it marks it as incomplete until all of it is on the disk.
 */
import { closeSync, existsSync, fsyncSync, openSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * To be called before the database in this directory is opened; the returned function, after it was opened. Removes an
 * incomplete database: nothing was ever stored in it.
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
    // Only now, and durably: with the mark, the whole database would be removed.
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
