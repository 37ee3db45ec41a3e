/**
 * xgrammar, as it is used here. Its package says that it is an ES module and holds CommonJS, so its file is run with the
 * names that CommonJS has; what it prints before it gives up is kept, as its exceptions say nothing.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type * as Library from "@mlc-ai/web-xgrammar";

const path = fileURLToPath(import.meta.resolve("@mlc-ai/web-xgrammar"));
let said: string[] = [];
const say = (...words: ReadonlyArray<unknown>): void => void said.push(words.join(" "));

const load = (): typeof Library => {
  const module: { exports: object } = { exports: {} };
  const names = ["module", "exports", "require", "__filename", "__dirname", "console"] as const;
  // oxlint-disable-next-line typescript/no-implied-eval -- it is a file of a locked dependency, no input
  const run = new Function(...names, readFileSync(path, "utf8")) as (...values: ReadonlyArray<unknown>) => void;
  const printer = { log: say, info: say, warn: say, error: say };
  run(module, module.exports, createRequire(import.meta.url), path, dirname(path), printer);
  return module.exports as typeof Library;
};

export const xgrammar = load();

/** What it said since the last call, in one line. */
export const takeSaid = (): string => {
  const line = said.join(" ");
  said = [];
  return line;
};
