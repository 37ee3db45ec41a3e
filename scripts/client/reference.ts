/** The reference of the client: TypeDoc's pages about what the compiled package declares. */
import { execFileSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

/** An exported name in the reference. */
export interface ReferencedName {
  /** The entry that exports it, by its module: `web`, `node`, `effect/ai`. */
  readonly module: string;
  readonly name: string;
  /** Whether something is said of it, here or where another entry exports it. */
  readonly isSaid: boolean;
}

/** What of TypeDoc's JSON is read here. */
interface Reflection {
  readonly name: string;
  readonly comment?: object;
  readonly children?: readonly Reflection[];
  readonly signatures?: readonly Reflection[];
  /** Of a name that another entry exports too. */
  readonly target?: number;
}

/** Writes the pages into a folder, which is emptied before, and gives the names that are in them. */
export const writeReference = (root: string, packageFolder: string, folder: string): readonly ReferencedName[] => {
  const typedoc = installTypedoc(root);
  mkdirSync(join(root, ".cache"), { recursive: true });
  const work = mkdtempSync(join(root, ".cache/reference-"));
  const [config, options, json] = [join(work, "tsconfig.json"), join(work, "typedoc.json"), join(work, "names.json")];
  writeFileSync(config, JSON.stringify(compilerConfig(root, packageFolder)));
  writeFileSync(
    options,
    JSON.stringify({
      name: "@mlxd/client",
      tsconfig: config,
      entryPoints: entryPoints(packageFolder),
      basePath: packageFolder,
      readme: join(packageFolder, "README.md"),
      excludeInternal: true,
      disableSources: true,
      // Types of the API's own messages stand in its .proto files.
      validation: { notExported: false },
      out: folder,
      json,
    }),
  );
  try {
    execFileSync(process.execPath, [typedoc, "--options", options, "--logLevel", "Warn"], {
      cwd: work,
      stdio: ["ignore", "inherit", "inherit"],
    });
    const { children: modules = [] } = JSON.parse(readFileSync(json, "utf8")) as Reflection;
    return modules.flatMap(({ name: module, children = [] }) =>
      children.map((child) => ({ module, name: child.name, isSaid: isSaid(child) })),
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

const isSaid = ({ comment, signatures = [], target }: Reflection): boolean =>
  comment !== undefined || target !== undefined || signatures.some((signature) => signature.comment !== undefined);

const entryPoints = (packageFolder: string): string[] => {
  const { exports } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as {
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  };
  return Object.entries(exports).flatMap(([entry, target]) =>
    typeof target === "object" && !entry.includes("*") ? [join(packageFolder, target.types)] : [],
  );
};

const compilerConfig = (root: string, packageFolder: string) => ({
  compilerOptions: {
    target: "ES2022",
    module: "NodeNext",
    lib: ["ES2024", "DOM", "DOM.Iterable", "DOM.AsyncIterable", "ESNext.Disposable"],
    strict: true,
    exactOptionalPropertyTypes: true,
    types: ["node"],
    typeRoots: [join(root, "node_modules/@types")],
    noEmit: true,
    skipLibCheck: true,
  },
  include: [packageFolder],
});

/**
 * TypeDoc (0.28) reads with TypeScript's compiler as a library, which TypeScript 7 is not, and npm refuses both in one tree. So it
 * is installed, as its own lockfile says, into a folder of its own with the TypeScript that it knows.
 */
const installTypedoc = (root: string): string => {
  const manifest = join(import.meta.dirname, "reference");
  const folder = join(root, ".cache/typedoc");
  const lock = readFileSync(join(manifest, "package-lock.json"));
  const program = join(folder, "node_modules/typedoc/bin/typedoc");
  const installed = join(folder, "package-lock.json");
  if (existsSync(program) && lock.equals(readFileSync(installed))) return program;
  const fresh = mkdtempSync(join(root, ".cache/typedoc-"));
  try {
    for (const name of ["package.json", "package-lock.json"]) copyFileSync(join(manifest, name), join(fresh, name));
    execFileSync("npm", ["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: fresh });
    rmSync(folder, { recursive: true, force: true });
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return program;
};
