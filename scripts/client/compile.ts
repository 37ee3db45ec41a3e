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
  bundleValidator(root, folder);
};

/**
 * What validates by a JSON Schema is a small package that only some callers need: it is part of this one, in a module
 * of its own that is loaded when a JSON Schema is used, so that installing the client installs nothing else.
 */
const bundleValidator = (root: string, folder: string): void => {
  const [validator, output] = ["@cfworker/json-schema", join(folder, "objects/json-schema.js")];
  const entry = join(root, "node_modules", validator, "dist/esm/index.js");
  const rolldown = join(root, "node_modules/.bin/rolldown");
  const banner = `/*! ${validator}, MIT licence, https://github.com/cfworker/cfworker */`;
  execFileSync(rolldown, [entry, "--format", "esm", "--banner", banner, "--file", output], {
    cwd: root,
    stdio: "ignore",
  });
  const user = join(folder, "objects/json-issues.js");
  writeFileSync(user, readFileSync(user, "utf8").replace(`"${validator}"`, '"./json-schema.js"'));
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
