// npm run -s parity -- DIR...: compares the engine with what mlx-lm and transformers computed on the same checkpoints.
// DIR is a checkpoint with a golden.json, or a folder of such; test/fixtures/goldens/README.md tells how one is made.
// One line for each, exit code 1 if any misses.
import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";

import { checkModel } from "./parity/check-model.ts";
import { type Agreement, checkPrompts } from "./parity/check-prompts.ts";

const tolerance = 2e-3;

const has = (directory: string, file: string): boolean => existsSync(join(directory, file));

/** The folder itself, or those in it that are checkpoints, with a golden or without. */
const checkpointsIn = (directory: string): ReadonlyArray<string> => {
  const isCheckpoint = (path: string): boolean => has(path, "golden.json") || has(path, "config.json");
  if (isCheckpoint(directory)) return [directory];
  const entries = existsSync(directory) ? readdirSync(directory).toSorted() : [];
  return entries.map((name) => join(directory, name)).filter(isCheckpoint);
};

const toText = ({ right, all }: Agreement): string => `${right}/${all}`;

const isWhole = ({ right, all }: Agreement): boolean => right === all;

/** Prints a checkpoint's line and tells whether all of it agrees. */
const report = async (directory: string): Promise<boolean> => {
  const name = basename(resolve(directory));
  try {
    if (!has(directory, "golden.json")) throw new Error("there is no golden.json beside its config.json");
    const { logitDifference, divergesAt } = await checkModel(directory);
    const { tokenizer, chat } = await checkPrompts(directory);
    const greedy = divergesAt === undefined ? "ok" : `diverges at ${divergesAt}`;
    const prompts = `tokenizer ${toText(tokenizer)} chat ${toText(chat)}`;
    console.log(`${name} logits ${logitDifference.toExponential(1)} greedy ${greedy} ${prompts}`);
    return logitDifference <= tolerance && divergesAt === undefined && isWhole(tokenizer) && isWhole(chat);
  } catch (cause) {
    console.log(`${name} FAILED: ${cause instanceof Error ? cause.message : String(cause)}`);
    return false;
  }
};

const directories = process.argv.slice(2);
let misses = directories.length === 0;
if (misses) console.error("usage: npm run -s parity -- DIR...");
for (const directory of directories) {
  const checkpoints = checkpointsIn(directory);
  if (checkpoints.length === 0) {
    console.log(`${basename(resolve(directory))} FAILED: there is no golden.json in it or in a folder of it`);
    misses = true;
  }
  for (const checkpoint of checkpoints) if (!(await report(checkpoint))) misses = true;
}
process.exitCode = misses ? 1 : 0;
