/** What callers see of speculative decoding: the same answers, and in `usage` what was drafted. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest";

import { createMlxdClient, type GenerationParameters, type MlxdClient } from "../../src/client/node.ts";
import { realModels } from "../support/model-folder.ts";
import { type RunningService, startService } from "../support/running-service.ts";

const started: Array<{ readonly service: RunningService; readonly client: MlxdClient }> = [];
const start = async (environment: Readonly<Record<string, string>>): Promise<MlxdClient> => {
  const service = await startService(environment);
  const client = createMlxdClient({ baseUrl: service.url });
  started.push({ service, client });
  return client;
};

let drafting: MlxdClient;
let plain: MlxdClient;
beforeAll(async () => {
  drafting = await start({ MLXD_SPECULATION: "always" });
  plain = await start({ MLXD_SPECULATION: "off" });
});
afterAll(async () => {
  for (const { client, service } of started) {
    client.close();
    await service.stop();
  }
});

const prompt = "Say it again: one two three four five. One two three four five. One two three four five.";
const long: GenerationParameters = { temperature: 0, maxOutputTokens: 160, ignoreEos: true, tokenIds: true };

describe("speculative decoding", () => {
  it("gives the same answer, and tells how much of it was drafted", async () => {
    const answer = await drafting.generate(prompt, long);
    const expected = await plain.generate(prompt, long);
    assert.deepStrictEqual([answer.text, answer.tokenIds], [expected.text, expected.tokenIds]);
    const { draftedTokens, acceptedDraftTokens, outputTokens } = answer.usage;
    assert.isAbove(acceptedDraftTokens ?? 0, 10);
    assert.isAtLeast(draftedTokens ?? 0, acceptedDraftTokens ?? 0);
    assert.isBelow(acceptedDraftTokens ?? 0, outputTokens);
    assert.isUndefined(expected.usage.draftedTokens);
    assert.isUndefined(expected.usage.acceptedDraftTokens);
  });

  it("gives the same for a seed, to several at once, streamed, with logprobs and penalties", async () => {
    const requests: GenerationParameters[] = [
      { ...long, temperature: 0.7, topP: 0.95, seed: 1 },
      { ...long, temperature: 0.5, topK: 20, seed: 2, topLogprobs: 2 },
      { ...long, temperature: 0.3, frequencyPenalty: 0.2, seed: 3 },
      { ...long, temperature: 0.4, candidateCount: 3, seed: 4 },
    ];
    const answersOf = (client: MlxdClient) =>
      Promise.all(requests.map((parameters) => client.stream(prompt, parameters).collect()));
    const [answers, expected] = await Promise.all([answersOf(drafting), answersOf(plain)]);
    for (const [index, answer] of answers.entries()) {
      assert.deepStrictEqual(
        answer.candidates.map(({ tokenIds }) => tokenIds),
        expected[index]?.candidates.map(({ tokenIds }) => tokenIds),
      );
      assert.strictEqual(answer.usage.outputTokens, expected[index]?.usage.outputTokens);
      assert.isAbove(answer.usage.draftedTokens ?? 0, 0);
    }
  });

  it("is counted for each model", async () => {
    const { usage } = await drafting.generate(prompt, long);
    const { models } = await drafting.stats();
    const demo = models.find(({ model }) => model === "demo")?.generations;
    assert.isAtLeast(demo?.draftedTokens ?? 0, usage.draftedTokens ?? Infinity);
    assert.isAtLeast(demo?.acceptedDraftTokens ?? 0, usage.acceptedDraftTokens ?? Infinity);
  });

  it("is off for a family that runs without drafts", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-speculation-"));
    try {
      const file = join(folder, "mlxd.yaml");
      writeFileSync(file, "families: { unknown: { draft: false }, llama: { draft: false }, qwen: { draft: false } }\n");
      const client = await start({ MLXD_SPECULATION: "always", MLXD_CONFIG: file });
      const answer = await client.generate(prompt, long);
      assert.deepStrictEqual(answer.tokenIds, (await plain.generate(prompt, long)).tokenIds);
      assert.isUndefined(answer.usage.draftedTokens);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("has a model of its own to draft with, where the file names one", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-speculation-"));
    try {
      for (const id of ["demo", "helper"]) cpSync(realModels.demo, join(folder, "models", id), { recursive: true });
      const file = join(folder, "mlxd.yaml");
      writeFileSync(file, "service: { models: ./models, speculation: always }\nmodels: { demo: { draft: helper } }\n");
      const client = await start({ MLXD_CONFIG: file });
      const question = "What can you do for me? Tell it at length.";
      const sampled = { ...long, temperature: 0.6, seed: 5, candidateCount: 2 };
      const answer = await client.generate(question, long);
      assert.deepStrictEqual(answer.tokenIds, (await plain.generate(question, long)).tokenIds);
      // The same weights: but for where two drafts meet the output's end, all is right.
      const { draftedTokens = 0, acceptedDraftTokens = 0 } = answer.usage;
      assert.isAbove(acceptedDraftTokens, 100);
      assert.isAtLeast(acceptedDraftTokens, draftedTokens - 8);
      const [several, expected] = [await client.generate(question, sampled), await plain.generate(question, sampled)];
      assert.deepStrictEqual(
        several.candidates.map(({ tokenIds }) => tokenIds),
        expected.candidates.map(({ tokenIds }) => tokenIds),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("refuses a draft model of another vocabulary", async () => {
    const folder = mkdtempSync(join(tmpdir(), "mlxd-speculation-"));
    try {
      cpSync(realModels.demo, join(folder, "models", "demo"), { recursive: true });
      cpSync(realModels.gemma, join(folder, "models", "helper"), { recursive: true });
      const file = join(folder, "mlxd.yaml");
      writeFileSync(file, "service: { models: ./models }\nmodels: { demo: { draft: helper } }\n");
      const error = await start({ MLXD_CONFIG: file, MLXD_PRELOAD: "demo" }).then(
        () => undefined,
        (cause: unknown) => cause,
      );
      assert.match(String(error), /the draft model's tokenizer\.json has other tokens than the model's/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
