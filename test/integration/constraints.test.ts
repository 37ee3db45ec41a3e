/**
 * Constrained output as callers get it: real clients, a real service, the demo model and checkpoints of random weights,
 * whose output has no form of its own.
 */
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";
import { Validator } from "@cfworker/json-schema";

import { createMlxdClient, type GenerationParameters, isMlxdError, type MlxdClient } from "../../src/client/node.ts";
import { goldenNames, goldensDirectory } from "../support/goldens.ts";
import { realModels } from "../support/model-folder.ts";
import { type RunningService, startService } from "../support/running-service.ts";

let folder: string;
let service: RunningService;
let client: MlxdClient;
const random = ["gemma", "gpt", ...goldenNames];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "mlxd-constraints-"));
  for (const [name, directory] of Object.entries(realModels)) symlinkSync(directory, join(folder, name));
  for (const name of goldenNames) symlinkSync(join(goldensDirectory, name), join(folder, name));
  service = await startService({ MLXD_MODELS: folder });
  client = createMlxdClient({ baseUrl: service.url });
});
afterAll(async () => {
  client.close();
  await service.stop();
  rmSync(folder, { recursive: true });
});

const person = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1, maxLength: 12 },
    age: { type: "integer", minimum: 0, maximum: 150 },
    tags: { type: "array", items: { enum: ["a", "b", "c"] }, maxItems: 3 },
  },
  required: ["name", "age"],
} as const;
const wild: GenerationParameters = { temperature: 1.3, topP: 1, maxOutputTokens: 200 };
const fits = (schema: object, text: string) => new Validator(schema, "2020-12").validate(JSON.parse(text)).valid;

describe("a constraint", () => {
  it("makes the demo model write JSON that fits a schema", async () => {
    const { text, finishReason } = await client.generate("Who are you?", { constraint: { jsonSchema: person } });
    assert.isTrue(fits(person, text), text);
    assert.strictEqual(finishReason, "constraint_complete");
  });

  it("is one of some texts, a regular expression, a grammar or any object", async () => {
    const of = (constraint: NonNullable<GenerationParameters["constraint"]>, seed: number) =>
      client.generate("What is 2+2?", { ...wild, seed, constraint });
    for (const seed of [1, 2, 3]) {
      assert.include(["yes", "no", "아니오"], (await of({ choices: ["yes", "no", "아니오"] }, seed)).text);
      assert.match((await of({ regex: String.raw`\d{3}-[a-f]+z?` }, seed)).text, /^\d{3}-[a-f]+z?$/);
      const grammar = 'root ::= "(" root? ")" | [가-힣]{2}';
      assert.match((await of({ grammar }, seed)).text, /^\(*([가-힣]{2})?\)*$/);
      assert.isObject(JSON.parse((await of({ jsonObject: true }, seed)).text));
    }
  });

  it.each(random)("holds with the random weights of %s, at any temperature", async (model) => {
    for (const seed of [1, 2]) {
      for (const temperature of [0, 1]) {
        const constraint = { jsonSchema: person };
        const { text } = await client.generate({ prompt: "x" }, { ...wild, model, seed, temperature, constraint });
        assert.isTrue(fits(person, text), text);
      }
    }
  });

  it("is refused by the field and the keyword before anything is computed", async () => {
    const cases: ReadonlyArray<readonly [NonNullable<GenerationParameters["constraint"]>, string, RegExp]> = [
      [
        { jsonSchema: { type: "object", patternProperties: {} } },
        "json_schema",
        /#\/patternProperties: .*not supported/,
      ],
      [{ jsonSchema: "{" }, "json_schema", /no JSON/],
      [{ regex: "(a" }, "regex", /not closed/],
      [{ grammar: "root ::= foo" }, "grammar", /"foo" is not defined \(line 1, column 10\)/],
      [{ grammar: 'root ::= root "a" | "b"' }, "grammar", /begins with itself/],
    ];
    for (const [constraint, field, reason] of cases) {
      const error = await client.generate("x", { constraint }).catch((cause: unknown) => cause);
      assert.isTrue(isMlxdError(error));
      if (!isMlxdError(error)) continue;
      assert.strictEqual(error.reason, "INVALID_FIELD");
      assert.include(error.message, `task.constraint.${field}`);
      assert.match(error.message, reason);
    }
  });
});
