import { assert, describe, it } from "@effect/vitest";

import { addUsage, noUsage, usageOfAnswers } from "../../../src/service/domain/usage.ts";

const plain = { promptTokens: 3, cachedPromptTokens: 1, outputTokens: 5 };

describe("usage", () => {
  it("is added up count by count, and has none that neither has", () => {
    assert.deepStrictEqual(addUsage(noUsage, plain), plain);
    assert.deepStrictEqual(
      addUsage(
        { ...plain, discardedTokens: 2, draftedTokens: 0 },
        { ...plain, discardedTokens: 1, reasoningTokens: 4 },
      ),
      {
        promptTokens: 6,
        cachedPromptTokens: 2,
        outputTokens: 10,
        reasoningTokens: 4,
        discardedTokens: 3,
        draftedTokens: 0,
      },
    );
  });

  it("is estimated where a part of it is", () => {
    const estimated = { ...plain, estimated: true };
    assert.deepStrictEqual(addUsage(estimated, noUsage), estimated);
    assert.deepStrictEqual(addUsage(noUsage, estimated), estimated);
    assert.notProperty(addUsage(plain, plain), "estimated");
  });

  it("of several answers counts their prompt once", () => {
    const answers = [plain, { ...plain, outputTokens: 7, draftedTokens: 2, acceptedDraftTokens: 1 }];
    assert.deepStrictEqual(usageOfAnswers(answers), {
      ...plain,
      outputTokens: 12,
      draftedTokens: 2,
      acceptedDraftTokens: 1,
    });
  });
});
