/**
 * Sources name what lies beside them by `new URL("...", import.meta.url)`: their programs, and files of the checkout. In the
 * bundle a program is a file of the same folder, and the files lie as in the checkout, one folder up.
 */
import { dirname, join, relative } from "node:path";
import type { Plugin } from "rolldown";

const reference = /new URL\("(\.[^"]*|[^":/]+\.ts)", import\.meta\.url\)/g;

/** @param programs paths of sources by the names that they have in the bundle */
export const placeBesides = (root: string, programs: Readonly<Record<string, string>>): Plugin => {
  const names = new Map(Object.entries(programs).map(([name, path]) => [path, name]));
  return {
    name: "place-besides",
    transform: {
      filter: { id: /\/src\/.*\.ts$/ },
      handler: (code, id) => {
        const placed = code.replaceAll(reference, (_, path: string) => {
          const source = relative(root, join(dirname(id), path));
          const name = names.get(source);
          if (name === undefined && source.endsWith(".ts")) throw new Error(`${source} is no program of the bundle`);
          return `new URL("${name === undefined ? `../${source}` : `./${name}.js`}", import.meta.url)`;
        });
        if (/import\.meta\.(dirname|filename)/.test(placed)) {
          throw new Error(
            `${relative(root, id)} looks for files where it lies: name them by new URL(…, import.meta.url)`,
          );
        }
        // No line moves, so the source maps stay right.
        return placed === code ? undefined : { code: placed, map: null };
      },
    },
  };
};
