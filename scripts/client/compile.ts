/** TypeScript to what every runtime takes: modules, declarations and source maps. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Compiles the staged sources into a folder, which is emptied before. */
export const compile = (root: string, sources: string, folder: string): void => {
  rmSync(folder, { recursive: true, force: true });
  const config = join(sources, "tsconfig.build.json");
  const compilerOptions = {
    // What Node 22, Safari 17 and the other browsers of its year run as it is.
    target: "ES2022",
    lib: ["ES2024", "DOM", "DOM.Iterable", "DOM.AsyncIterable", "ESNext.Disposable"],
    types: ["node"],
    noEmit: false,
    outDir: folder,
    rootDir: sources,
    rewriteRelativeImportExtensions: true,
    declaration: true,
    sourceMap: true,
    inlineSources: true,
    stripInternal: true,
  };
  writeFileSync(config, JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions, include: ["."] }));
  execFileSync(join(root, "node_modules/.bin/tsc"), ["-p", config], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  nameCompiledModules(folder);
  bundleLoadedOnDemand(root, folder);
};

/**
 * Modules that only some callers need and load when they do. Each is written with what it takes from packages inside of it:
 * so whoever does not need it neither installs nor bundles that, with every bundler.
 */
const loadedOnDemand: readonly (readonly [module: string, banner: string])[] = [
  ["objects/json-issues", "/*! With @cfworker/json-schema, MIT licence, https://github.com/cfworker/cfworker */"],
  ["fetch/json-format", "/*! With @bufbuild/protobuf, Apache-2.0, https://github.com/bufbuild/protobuf-es */"],
];

const bundleLoadedOnDemand = (root: string, folder: string): void => {
  const rolldown = join(root, "node_modules/.bin/rolldown");
  for (const [module, banner] of loadedOnDemand) {
    const file = join(folder, `${module}.js`);
    const options = ["--format", "esm", "--sourcemap", "--banner", banner, "--file", file];
    execFileSync(rolldown, [file, ...options], { cwd: root, stdio: "ignore" });
  }
};

/** In code the compiler writes `./call.js` where the sources have `./call.ts`; in declarations it leaves them. */
const nameCompiledModules = (folder: string): void => {
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".d.ts")) continue;
    const declarations = readFileSync(join(folder, name), "utf8");
    writeFileSync(
      join(folder, name),
      declarations.replaceAll(/((?:from |import\(|import )"\.{1,2}\/[^"]*)\.ts"/g, '$1.js"'),
    );
  }
};
