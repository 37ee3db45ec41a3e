/** Finds the folders of models. */
import { access, readdir, realpath, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";

/**
 * Absolute paths of the models in a folder, sorted by name; if the folder is itself a model, it is the only one.
 * Throws.
 */
export const modelFolders = async (directory: string): Promise<ReadonlyArray<string>> => {
  if (await exists(join(directory, "config.json"))) return [resolve(directory)];
  const names = (await readdir(directory)).filter((name) => !name.startsWith("."));
  const paths = names.toSorted().map((name) => join(resolve(directory), name));
  const areFolders = await Promise.all(paths.map(isFolder));
  return paths.filter((_, index) => areFolders[index]);
};

/** Follows links; false for a dangling one. */
export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );

/** Compares the paths as written and with links resolved. The folder itself counts as inside. */
export const isInside = async (directory: string, path: string): Promise<boolean> => {
  if (isBelow(resolve(directory), path)) return true;
  const real = (each: string) => realpath(each).catch(() => each);
  return isBelow(await real(directory), await real(path));
};

const isBelow = (directory: string, path: string): boolean => {
  const way = relative(directory, path);
  return !isAbsolute(way) && way !== ".." && !way.startsWith(`..${sep}`);
};

export const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
