/** The service, its programs and the command as they are deployed: bundled, with what they need beside them. */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { rolldown } from "rolldown";

import manifest from "../../binding/prebuilt/manifest.json" with { type: "json" };
import about from "../../package.json" with { type: "json" };
import { licencesOf, packagesOf } from "./licences.ts";
import { nativeParts, packedNode } from "./native-parts.ts";
import { placeBesides } from "./place-besides.ts";
import { sbomOf } from "./sbom.ts";

/** What runs as a program or a thread of its own. */
const programs = {
  mlxd: "src/cli/main.ts",
  service: "src/service/main.ts",
  engine: "src/service/worker/main.ts",
  "describe-mlx": "src/service/worker/describe.ts",
  "parent-watch": "src/service/worker/parent-watch.ts",
  "jobs-store": "src/service/jobs/store/embedded-worker.ts",
  "jobs-store-maker": "src/service/jobs/store/database-maker.ts",
  "grammar-thread": "src/service/worker/constraints/grammar-thread.ts",
  "sandbox-lane": "src/service/sandbox/lane/main.ts",
  "sandbox-watchdog": "src/service/sandbox/lane/watchdog.ts",
} as const;

export interface ArtefactOptions {
  /** As Node names them: `linux-x64`. Those of MLX that are not for this machine have to be fetched where it is unpacked. */
  readonly platform: string;
  /** A copy of the /var/lib/dpkg/status of the image that it is for: the bill of materials then tells what is in that, too. */
  readonly debianPackages?: string | undefined;
  /** Packs the Node that runs this, which `bin/mlxd` then takes. */
  readonly withNode?: boolean | undefined;
}

/** Writes it into this folder, which is emptied before. */
export const buildArtefact = async (root: string, folder: string, options: ArtefactOptions): Promise<void> => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const bundle = await rolldown({
    cwd: root,
    input: programs,
    platform: "node",
    // Its paths are for the type checker: they lead to declarations.
    tsconfig: false,
    // Loaded by require and only where it is named: its build is of the machine that runs it.
    external: ["@frost-beta/mlx"],
    plugins: [placeBesides(root, programs)],
    logLevel: "warn",
    onLog: (level, log) => {
      // Emscripten's, in PGlite: for code that nobody hands to it.
      if (log.code === "EVAL" && log.message.includes("node_modules/@electric-sql/pglite/")) return;
      if (level === "warn") throw new Error(`the bundler warns: ${log.message}`);
    },
  });
  const { output } = await bundle.write({
    dir: join(folder, "lib"),
    format: "esm",
    sourcemap: true,
    sourcemapPathTransform: (source, map) => relative(root, resolve(dirname(map), source)),
    // All in one folder, so that what lies beside a file lies beside every file.
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
  });
  await bundle.close();
  const modules = output.flatMap((file) => (file.type === "chunk" ? file.moduleIds : []));
  // The addon is compiled with node-addon-api's headers.
  const packages = packagesOf([...modules, join(root, "node_modules/node-addon-api/napi.h")]);
  const hasMlx = copyBesides(root, folder, options.platform);
  if (options.withNode === true) copyNode(folder, options.platform);
  const hasNode = options.withNode === true || options.debianPackages !== undefined;
  const native = [
    ...nativeParts(root, hasMlx ? mlxWheel(options.platform) : undefined),
    ...(hasNode ? [packedNode()] : []),
  ];
  writeFileSync(join(folder, "THIRD-PARTY-LICENSES"), licencesOf(packages, native));
  const status = options.debianPackages;
  const dpkgStatus = status === undefined ? undefined : readFileSync(status, "utf8");
  writeFileSync(join(folder, "sbom.cdx.json"), sbomOf({ packages, native, dpkgStatus }));
};

/** In which MLX's libraries come (binding/requirements.txt). */
const mlxWheel = (platform: string): string => (platform.startsWith("darwin") ? "mlx-metal" : "mlx-cpu");

/** The one that runs this. */
const copyNode = (folder: string, platform: string): void => {
  const own = `${process.platform}-${process.arch}`;
  if (platform !== own)
    throw new Error(`the Node that is here runs on ${own}: build for ${platform} without --with-node`);
  cpSync(realpathSync(process.execPath), join(folder, "bin/node"));
  chmodSync(join(folder, "bin/node"), 0o755);
};

/** Whether MLX's libraries are among it. */
const copyBesides = (root: string, folder: string, platform: string): boolean => {
  const copy = (path: string, to = path): void =>
    cpSync(join(root, path), join(folder, to), { recursive: true, dereference: true });
  for (const path of ["LICENSE", "CHANGELOG.md", "proto/mlxd.binpb", "models/demo"]) copy(path);
  copy("deploy/mlxd.example.yaml", "mlxd.example.yaml");
  // PGlite looks for them beside the file that it is bundled into.
  for (const file of ["pglite.wasm", "pglite.data", "initdb.wasm"]) {
    copy(`node_modules/@electric-sql/pglite/dist/${file}`, `lib/${file}`);
  }
  copy(`binding/prebuilt/${platform}.node`);
  // Where the addon looks for them. Another machine's are fetched when it is set up there.
  const libraries = `.cache/mlx-${manifest.mlx}`;
  const hasMlx = platform === `${process.platform}-${process.arch}` && existsSync(join(root, libraries));
  if (hasMlx) copy(libraries);
  else for (const path of ["scripts/with-mlx", "binding/requirements.txt"]) copy(path);
  const { name, version, license, engines } = about;
  const described = { name, version, license, engines, type: "module", os: [platform.split("-")[0]] };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(described, null, 2)}\n`);
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/mlxd"), readFileSync(join(import.meta.dirname, "mlxd.sh")));
  chmodSync(join(folder, "bin/mlxd"), 0o755);
  return hasMlx;
};
