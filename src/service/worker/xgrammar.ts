/**
 * xgrammar, as it is used here. Its package says that it is an ES module and holds CommonJS, so its file is run with the
 * names that CommonJS has; what it prints before it gives up is kept, as its exceptions say nothing.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { compileFunction } from "node:vm";
import type * as Library from "@mlc-ai/web-xgrammar";

const path = fileURLToPath(import.meta.resolve("@mlc-ai/web-xgrammar"));
let said: string[] = [];
/** What it imports by itself, which code that is compiled so cannot. */
const importModule = (): Promise<unknown> => import("node:module");
const say = (...words: ReadonlyArray<unknown>): void => void said.push(words.join(" "));

const load = (): typeof Library => {
  const module: { exports: object } = { exports: {} };
  const names = ["module", "exports", "require", "__filename", "__dirname", "console", "importModule"];
  const source = readFileSync(path, "utf8").replace(/\bimport\((["'])module\1\)/g, "importModule()");
  const run = compileFunction(source, names) as (...values: ReadonlyArray<unknown>) => void;
  const printer = { log: say, info: say, warn: say, error: say };
  run(module, module.exports, createRequire(import.meta.url), path, dirname(path), printer, importModule);
  return module.exports as typeof Library;
};

export const xgrammar = load();

/** What it said since the last call, in one line. */
export const takeSaid = (): string => {
  const line = said.join(" ");
  said = [];
  return line;
};
