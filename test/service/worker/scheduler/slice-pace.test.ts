import { assert, describe, it } from "@effect/vitest";

import { mostTokensAtOnce, SlicePace } from "../../../../src/service/worker/scheduler/slice-pace.ts";

/** Steps whose slices take so long for each token; the tokens that each slice came to. */
const paced = (pace: SlicePace, msPerToken: number, steps: number): number[] => {
  let now = 0;
  let before = 0;
  return Array.from({ length: steps }, () => {
    const { tokens } = pace;
    // A step waits for the slice before its own.
    now += before * msPerToken;
    before = tokens;
    pace.step(now, tokens);
    return tokens;
  });
};

describe("the pace of prefill slices", () => {
  it("comes to slices that take a moment", () => {
    const sizes = paced(new SlicePace(1024), 0.5, 40);
    assert.strictEqual(sizes[0], 1024);
    assert.isAtLeast(sizes.at(-1) ?? 0, 120);
    assert.isAtMost(sizes.at(-1) ?? 0, 190);
  });

  it("is never more than was allowed, nor less than what is worth a step", () => {
    assert.deepStrictEqual(new Set(paced(new SlicePace(256), 0.01, 20)), new Set([256]));
    assert.strictEqual(paced(new SlicePace(256), 50, 20).at(-1), 64);
    assert.strictEqual(paced(new SlicePace(16), 50, 20).at(-1), 16);
  });

  it("does not follow a slice that was cut short, nor steps without one", () => {
    const pace = new SlicePace(256);
    pace.step(0, 10);
    pace.step(5_000, 256);
    pace.step(5_001, 0);
    pace.step(9_000, 256);
    assert.strictEqual(pace.tokens, 256);
  });
});

describe("the tokens of a slice", () => {
  it("are as many as have no more than 256 MiB of scores", () => {
    for (const [heads, columns] of [
      [8, 512],
      [14, 32_768],
      [32, 8_192],
    ] as const) {
      const tokens = mostTokensAtOnce(heads, columns);
      assert.isAtMost(4 * heads * columns * tokens, 256 * 1024 ** 2);
      assert.isAbove(4 * heads * columns * (tokens + 1), 256 * 1024 ** 2);
    }
  });

  it("are some, however long the prompt is", () => {
    assert.equal(mostTokensAtOnce(128, 1_000_000), 16);
  });
});
