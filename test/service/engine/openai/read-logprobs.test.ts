import { assert, describe, it } from "vitest";

import { readLogprobs } from "../../../../src/service/engine/openai/read-logprobs.ts";

describe("the logprobs of a piece", () => {
  it("may be in the form of a text completion", () => {
    const [first, second] = readLogprobs(
      { tokens: [" a", "b"], token_logprobs: [-0.5, -1], top_logprobs: [{ " c": -2, " a": -0.5 }, null] },
      5,
    );
    assert.deepInclude(first, { text: " a", logprob: -0.5 });
    assert.deepStrictEqual(
      first?.top.map(({ text, logprob }) => [text, logprob]),
      [
        [" a", -0.5],
        [" c", -2],
      ],
    );
    assert.deepInclude(second, { text: "b", top: [] });
  });

  it.each([
    undefined,
    null,
    7,
    {},
    { content: 7 },
    { content: [null, { token: 1 }, { token: "a" }] },
    { content: [{ token: "a", logprob: JSON.parse("1e999") as number }] },
    { tokens: [1] },
  ])("are none in %j", (value) => {
    assert.deepStrictEqual(readLogprobs(value, 5), []);
  });

  it("have the token's own bytes where those that are told are none", () => {
    const [told] = readLogprobs({ content: [{ token: "é", logprob: -1, bytes: [300] }] }, 0);
    assert.deepStrictEqual([...(told?.raw ?? [])], [0xc3, 0xa9]);
  });
});
