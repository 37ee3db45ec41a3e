/** Where a program is, as a shell would find it. */
import { access, constants, stat } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";

/**
 * The program's path, or undefined if there is no such executable file. A name without a slash is looked for in the
 * folders of `searchPath`, as PATH has them; other names start at `directory`.
 */
export const findProgram = async (
  name: string,
  directory: string,
  searchPath: string | undefined,
): Promise<string | undefined> => {
  const places = name.includes("/")
    ? [resolve(directory, name)]
    : (searchPath ?? "")
        .split(delimiter)
        .filter((folder) => folder !== "")
        .map((folder) => join(resolve(directory, folder), name));
  for (const place of places) if (await isProgram(place)) return place;
  return undefined;
};

const isProgram = async (path: string): Promise<boolean> => {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
};
