import { assert, describe, it } from "vitest";

import { excludedByThinking } from "../../../../src/service/engine/anthropic/excluded-by-thinking.ts";
import { facts } from "../../../support/tasks.ts";

const rest = { seed: 1, minOutputTokens: 0, stopTokenIds: [] };
const excluded = (maxTokens: number, sampling: { temperature: number; topP: number; topK: number | undefined }) => [
  ...excludedByThinking({ parameters: { ...facts().defaults, ...rest, ...sampling }, reasoning: { maxTokens } }),
];

describe("the options that thinking excludes", () => {
  it("are those of sampling whose values are not neutral", () => {
    assert.deepStrictEqual(excluded(2048, { temperature: 0.5, topP: 0.9, topK: 5 }), [
      "sampling.temperature",
      "sampling.top_p",
      "sampling.top_k",
    ]);
    assert.deepStrictEqual(excluded(2048, { temperature: 1, topP: 1, topK: undefined }), []);
  });

  it("are none without thinking", () => {
    assert.deepStrictEqual(excluded(0, { temperature: 0.5, topP: 0.9, topK: 5 }), []);
  });
});
