/** What an artefact holds besides packages of npm: libraries of other languages, each with its licence and the text of it. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import manifest from "../../binding/prebuilt/manifest.json" with { type: "json" };

export interface NativePart {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly license: string;
  readonly purl: string;
  readonly text: string;
}

/** Libraries that a Linux wheel of MLX brings with it, by the beginnings of their files' names. */
const wheelLibraries = {
  blas: { license: "BSD-3-Clause", texts: ["lapack"] },
  lapack: { license: "BSD-3-Clause", texts: ["lapack"] },
  gfortran: { license: "GPL-3.0-or-later WITH GCC-exception-3.1", texts: ["GCC-exception-3.1", "GPL-3.0"] },
  quadmath: { license: "LGPL-2.1-or-later", texts: ["LGPL-2.1"] },
} as const;

/**
 * Licences of libraries that lie beside the bundle as files of their own, and are loaded from there: who gets them may exchange them, and is
 * given the text and where the source is. They are not for packages that are bundled.
 */
export const ofSharedLibraries: ReadonlySet<string> = new Set<string>(
  Object.values(wheelLibraries).map(({ license }) => license),
);

const textOf = (name: string): string =>
  readFileSync(join(import.meta.dirname, `licence-texts/${name}.txt`), "utf8").trim();

/** @param mlxWheel the name of MLX's Python package, where its libraries are packed; where they are not, they are fetched with their licences */
export const nativeParts = (root: string, mlxWheel: string | undefined): ReadonlyArray<NativePart> => [
  embeddedPostgres(root),
  ...(mlxWheel === undefined ? [] : mlxParts(root, mlxWheel)),
];

const mlxParts = (root: string, wheel: string): ReadonlyArray<NativePart> => {
  const version = manifest.mlx;
  const purl = `pkg:pypi/${wheel}@${version}`;
  const libraries = join(root, `.cache/mlx-${version}/${wheel.replace("-", "_")}.libs`);
  return [{ name: wheel, version, license: "MIT", purl, text: textOf("mlx") }, ...wheelParts(libraries)];
};

const wheelParts = (folder: string): ReadonlyArray<NativePart> =>
  (existsSync(folder) ? readdirSync(folder).toSorted() : []).map((file) => {
    const [, name = "", version = ""] = /^lib([a-z_]+)-[0-9a-f]{8}\.so\.([\d.]+)$/.exec(file) ?? [];
    if (!isKnown(name)) throw new Error(`${file} came with MLX, and native-parts.ts has no licence of it`);
    const { license, texts } = wheelLibraries[name];
    const source = license.includes("GPL") ? ["Its source is at https://gcc.gnu.org."] : [];
    const text = [...source, ...texts.map(textOf)].join("\n\n");
    return { name: `lib${name}`, version, license, purl: `pkg:generic/lib${name}@${version}`, text };
  });

const isKnown = (name: string): name is keyof typeof wheelLibraries => Object.hasOwn(wheelLibraries, name);

/** What PGlite's WebAssembly is compiled from. */
const embeddedPostgres = (root: string): NativePart => {
  const wasm = readFileSync(join(root, "node_modules/@electric-sql/pglite/dist/pglite.wasm"), "latin1");
  const version = /PostgreSQL ([\d.]+) \(PGlite/.exec(wasm)?.[1];
  if (version === undefined) throw new Error("pglite.wasm names no version of PostgreSQL");
  const purl = `pkg:generic/postgresql@${version}`;
  return { name: "postgresql", version, license: "PostgreSQL", purl, text: textOf("postgresql") };
};

/** The Node that runs this, where it is packed. Its text, which names all that Node is made of, lies beside it or above. */
export const packedNode = (): NativePart => {
  const version = process.versions.node;
  const places = [1, 2].map((levels) => join(dirname(process.execPath), "../".repeat(levels), "LICENSE"));
  const file = places.find(existsSync);
  return {
    name: "node",
    version,
    license: "MIT",
    purl: `pkg:github/nodejs/node@v${version}`,
    text:
      file === undefined
        ? `https://github.com/nodejs/node/blob/v${version}/LICENSE`
        : readFileSync(file, "utf8").trim(),
  };
};
