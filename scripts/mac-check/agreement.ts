/** Whole models: against what mlx-lm computed of the same weights, and against themselves. */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

import { inChild } from "./child.ts";
import { bounded, type Check, type Section } from "./section.ts";

const root = join(import.meta.dirname, "../..");
const goldens = join(root, "test/fixtures/goldens");

export const agreement: Section = {
  name: "agreement",
  run: async () => {
    const checks: Check[] = [];
    for (const folder of checkpoints()) {
      for (const asStored of [false, true]) checks.push(await golden(folder, asStored));
    }
    for (const folder of [...checkpoints(), join(root, "models/demo")]) {
      for (const asStored of [false, true]) checks.push(await withItself(folder, asStored));
    }
    return checks;
  },
};

const checkpoints = (): ReadonlyArray<string> =>
  readdirSync(goldens)
    .toSorted()
    .map((name) => join(goldens, name))
    .filter((folder) => existsSync(join(folder, "golden.json")));

const form = (asStored: boolean): string => (asStored ? "as stored" : "in float32");

/** The goldens were computed in float32: as stored, rounding may choose another token, and the logits may differ more. */
const golden = async (folder: string, asStored: boolean): Promise<Check> => {
  const name = `${basename(folder)} ${form(asStored)}, against mlx-lm`;
  const answer = await inChild("compareWithGolden", { folder, asStored });
  if (answer.type === "problem") return unanswered(name, answer.problem);
  const { logitDifference, divergesAt } = answer.value;
  const check = bounded(name, logitDifference, asStored ? 0.5 : 2e-3);
  const figures = { ...check.figures, divergesAt };
  return !asStored && divergesAt !== "nowhere"
    ? { ...check, status: "failed", detail: `token ${divergesAt} of the output is another one`, figures }
    : { ...check, figures };
};

const withItself = async (folder: string, asStored: boolean): Promise<Check> => {
  const name = `${basename(folder)} ${form(asStored)}, alone, in a batch and token by token`;
  const answer = await inChild("checkLoaded", { folder, asStored });
  return answer.type === "value" ? { name, status: "passed" } : unanswered(name, answer.problem);
};

/** MLX has some products in 16 bits on a GPU alone, and says so. */
const unanswered = (name: string, problem: string): Check => ({
  name,
  status: process.platform !== "darwin" && problem.includes("only supports float32") ? "skipped" : "failed",
  detail: problem,
});
