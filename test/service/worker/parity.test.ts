import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "@effect/vitest";

import { checkModel } from "../../../scripts/parity/check-model.ts";
import { checkPrompts } from "../../../scripts/parity/check-prompts.ts";
import { goldenNames, goldensDirectory, noGoldens } from "../../support/goldens.ts";

const tolerance = 2e-3;

const assertParity = async (directory: string): Promise<void> => {
  const { logitDifference, divergesAt } = await checkModel(directory);
  assert.isAtMost(logitDifference, tolerance);
  assert.isUndefined(divergesAt, "greedy tokens");
  const { tokenizer, chat } = await checkPrompts(directory);
  assert.strictEqual(tokenizer.right, tokenizer.all, "texts");
  assert.strictEqual(chat.right, chat.all, "conversations");
};

const fixtures = fileURLToPath(new URL("../../fixtures/goldens", import.meta.url));
const fixtureNames = readdirSync(fixtures).filter((name) => existsSync(join(fixtures, name, "golden.json")));

describe("what mlx-lm and transformers compute", () => {
  for (const name of fixtureNames) {
    it(`is computed of the checkpoint ${name}`, () => assertParity(join(fixtures, name)));
  }

  it("is computed of every golden", { timeout: 120_000 }, async (context) => {
    if (goldenNames.length === 0) context.skip(noGoldens);
    for (const name of goldenNames) await assertParity(join(goldensDirectory, name));
  });
});
