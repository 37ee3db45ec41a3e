/** Whether every package may be used as it is: by the licence that the lockfile has of it. */

/** Of what is deployed: nothing is asked but to keep the notice, which `npm run build` puts beside the bundle. */
const permissive: ReadonlySet<string> = new Set([
  "MIT",
  "ISC",
  "0BSD",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "Apache-2.0",
  "BlueOak-1.0.0",
  "PostgreSQL",
]);

/** Of what builds and tests, which nobody is given: changes to these files would have to be published, and there are none. */
const forDevelopment: ReadonlySet<string> = new Set([...permissive, "MPL-2.0", "Unlicense"]);

/** Packages whose licence field is none, and what their text says. */
const readByHand: Readonly<Record<string, string>> = {
  "json-schema-test-suite": "MIT",
  buildcheck: "MIT",
  "cpu-features": "MIT",
  ssh2: "MIT",
};

export interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly link?: boolean;
}

/** One line for each package that may not be used so; empty: all may. */
export const licenceProblems = (packages: Readonly<Record<string, LockedPackage>>): ReadonlyArray<string> =>
  Object.entries(packages).flatMap(([path, { version = "", license, dev = false, link = false }]) => {
    if (path === "" || link) return [];
    const name = nameOf(path);
    const licence = readByHand[name] ?? license;
    if (licence !== undefined && isAllowed(licence, dev ? forDevelopment : permissive)) return [];
    const use = dev ? "development" : "deployment";
    return [`${name} ${version}: ${licence ?? "no licence is named"}, which is not on the list for ${use}`];
  });

/** Whether what has this licence may be deployed. */
export const isPermissive = (expression: string): boolean => isAllowed(expression, permissive);

/** Of a package that lies at this path of the lockfile. */
export const nameOf = (path: string): string => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);

/** Of an SPDX expression: one choice of `OR`, all parts of `AND`. Anything more involved is for people to read. */
const isAllowed = (expression: string, allowed: ReadonlySet<string>): boolean => {
  const flat = expression.replace(/^\((.*)\)$/, "$1");
  if (/[()]/.test(flat)) return false;
  return flat.split(" OR ").some((choice) => choice.split(" AND ").every((licence) => allowed.has(licence)));
};
