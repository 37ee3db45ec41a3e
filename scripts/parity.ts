// npm run -s parity -- DIR...: compares the engine with what mlx-lm and transformers computed on the same checkpoints.
// DIR is a checkpoint with a golden.json, or a folder of such; test/fixtures/goldens/README.md tells how one is made.
// One line for each, exit code 1 if any misses.
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

import { checkModel } from "./parity/check-model.ts";
import { type Agreement, checkPrompts } from "./parity/check-prompts.ts";

const tolerance = 2e-3;

const isGolden = (directory: string): boolean => existsSync(join(directory, "golden.json"));

const goldensIn = (directory: string): ReadonlyArray<string> => {
  if (isGolden(directory)) return [directory];
  const entries = existsSync(directory) ? readdirSync(directory).toSorted() : [];
  return entries.map((name) => join(directory, name)).filter(isGolden);
};

const toText = ({ right, all }: Agreement): string => `${right}/${all}`;

const isWhole = ({ right, all }: Agreement): boolean => right === all;

/** Prints a golden's line and tells whether all of it agrees. */
const report = async (directory: string): Promise<boolean> => {
  const name = basename(directory);
  try {
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
const goldens = directories.flatMap(goldensIn);
for (const directory of directories) {
  if (goldensIn(directory).length === 0) console.error(`there is no golden.json in ${directory} or a folder of it`);
}
let misses = directories.length === 0 || directories.some((directory) => goldensIn(directory).length === 0);
if (directories.length === 0) console.error("usage: npm run -s parity -- DIR...");
for (const golden of goldens) if (!(await report(golden))) misses = true;
process.exitCode = misses ? 1 : 0;
