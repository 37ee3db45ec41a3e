/** Whole models: against what mlx-lm computed of the same weights, and against themselves. */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";

import type { WeightsForm } from "../../src/service/worker/weights/weights.ts";
import { inChild } from "./child.ts";
import { bounded, type Check, type Section } from "./section.ts";

const root = join(import.meta.dirname, "../..");
const goldens = join(root, "test/fixtures/goldens");

export const agreement: Section = {
  name: "agreement",
  run: async () => {
    const checks: Check[] = [];
    for (const folder of checkpoints()) {
      for (const form of forms) checks.push(await golden(folder, form));
    }
    for (const folder of [...checkpoints(), join(root, "models/demo")]) {
      for (const form of forms) checks.push(await withItself(folder, form));
    }
    return checks;
  },
};

const checkpoints = (): ReadonlyArray<string> =>
  readdirSync(goldens)
    .toSorted()
    .map((name) => join(goldens, name))
    .filter((folder) => existsSync(join(folder, "golden.json")));

const forms = ["float32", "stored"] as const satisfies ReadonlyArray<WeightsForm>;

const named = (form: WeightsForm): string => (form === "stored" ? "as stored" : `in ${form}`);

/** The goldens were computed in float32: as stored, rounding may choose another token, and the logits may differ more. */
const golden = async (folder: string, form: WeightsForm): Promise<Check> => {
  const name = `${basename(folder)} ${named(form)}, against mlx-lm`;
  const answer = await inChild("compareWithGolden", { folder, form });
  if (answer.type === "problem") return unanswered(name, answer.problem);
  const { logitDifference, divergesAt } = answer.value;
  const check = bounded(name, logitDifference, form === "stored" ? 0.5 : 2e-3);
  const figures = { ...check.figures, divergesAt };
  return form === "float32" && divergesAt !== "nowhere"
    ? { ...check, status: "failed", detail: `token ${divergesAt} of the output is another one`, figures }
    : { ...check, figures };
};

const withItself = async (folder: string, form: WeightsForm): Promise<Check> => {
  const name = `${basename(folder)} ${named(form)}, alone, in a batch and token by token`;
  const answer = await inChild("checkLoaded", { folder, form });
  return answer.type === "value" ? { name, status: "passed" } : unanswered(name, answer.problem);
};

/** MLX has some products in 16 bits on a GPU alone, and says so. */
const unanswered = (name: string, problem: string): Check => ({
  name,
  status: process.platform !== "darwin" && problem.includes("only supports float32") ? "skipped" : "failed",
  detail: problem,
});
