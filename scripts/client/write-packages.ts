/** What lies beside the code of a published package: its manifest, README, licence and changelog. */
import { copyFileSync, cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
}

const pages = ["README.md", "CHANGELOG.md"];

/** Completes the compiled folder to an npm package. src/client/package.json names sources; here it names what they became. */
export const writeNpmPackage = (root: string, folder: string): void => {
  const { exports, ...manifest } = readManifest(root);
  const compiled: Record<string, unknown> = Object.fromEntries(
    Object.entries(exports).map(([entry, path]) => [entry, compiledTarget(path)]),
  );
  writeJson(join(folder, "package.json"), { ...manifest, exports: compiled });
  copyPages(root, folder);
};

const compiledTarget = (path: string): unknown => {
  if (!path.endsWith(".ts")) return path;
  const stem = path.replace(/\.ts$/, "");
  return { types: `${stem}.d.ts`, default: `${stem}.js` };
};

/** Writes the form for JSR: the same sources, whose packages come from npm. */
export const writeJsrPackage = (root: string, sources: string, folder: string): void => {
  const { name, version, exports, dependencies, peerDependencies } = readManifest(root);
  rmSync(folder, { recursive: true, force: true });
  cpSync(sources, folder, { recursive: true, filter: (path) => !/(tsconfig.*|package)\.json$/.test(path) });
  const entries = Object.entries(exports).filter(([, path]) => path.endsWith(".ts") && !path.includes("*"));
  const { dependencies: tested } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as Manifest;
  const bundled = { "@cfworker/json-schema": `^${tested["@cfworker/json-schema"]}` }; // in the npm package
  const imports = Object.entries({ ...dependencies, ...bundled, ...peerDependencies }).flatMap(
    ([dependency, range]) => [
      [dependency, `npm:${dependency}@${range}`],
      [`${dependency}/`, `npm:/${dependency}@${range}/`],
    ],
  );
  writeJson(join(folder, "jsr.json"), {
    name,
    version,
    license: "MIT",
    exports: Object.fromEntries(entries),
    imports: Object.fromEntries(imports) as object,
  });
  copyPages(root, folder);
};

const readManifest = (root: string) =>
  JSON.parse(readFileSync(join(root, "src/client/package.json"), "utf8")) as Manifest;

const writeJson = (path: string, value: object): void =>
  writeFileSync(path, `${JSON.stringify(value, undefined, 2)}\n`);

const copyPages = (root: string, folder: string): void => {
  for (const page of pages) copyFileSync(join(root, "src/client", page), join(folder, page));
  copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
};
