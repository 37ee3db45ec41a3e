import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Score } from "./evaluate.ts";

/** What a training run took. */
export interface TrainingFacts {
  steps: number;
  seed: number;
  tokens: number;
  minutes: number;
}

/** Puts the measured accuracy into the model's card. */
export function writeAccuracy(folder: string, scores: readonly Score[]): void {
  const rows = scores.map(({ title, right, asked, bound }) => {
    const percent = ((100 * right) / asked).toFixed(1);
    return `| ${title} | ${percent} % | ${right} of ${asked} | ${Math.round(100 * bound)} % |`;
  });
  replaceBlock(folder, "accuracy", ["| skill | right | held-out questions | bound |", "|---|---|---|---|", ...rows]);
}

export function writeTrainingFacts(folder: string, { steps, seed, tokens, minutes }: TrainingFacts): void {
  replaceBlock(folder, "training", [
    `- ${steps.toLocaleString("en")} steps over ${(tokens / 1e6).toFixed(1)} million tokens, seed ${seed}`,
    `- ${Math.round(minutes)} minutes on two cores, making the data and measuring included`,
  ]);
}

/** Replaces what stands between two markers of README.md; a folder without a card gets none. */
function replaceBlock(folder: string, name: string, lines: readonly string[]): void {
  const path = join(folder, "README.md");
  if (!existsSync(path)) return;
  const card = readFileSync(path, "utf8");
  const block = new RegExp(`(<!-- ${name} -->\\n)[^]*?(<!-- end of ${name} -->)`);
  if (!block.test(card)) throw new Error(`${path} has no block "${name}"`);
  writeFileSync(
    path,
    card.replace(block, (_, opening: string, closing: string) => `${opening}${lines.join("\n")}\n${closing}`),
  );
}
