import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { PromptLookup } from "../../../../src/service/worker/speculation/prompt-lookup.ts";

const lookupOf = (tokens: ReadonlyArray<number>): PromptLookup => {
  const lookup = new PromptLookup();
  for (const token of tokens) lookup.push(token);
  return lookup;
};

describe("PromptLookup", () => {
  it("drafts what followed the last tokens where they stood before", () => {
    const lookup = lookupOf([1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3]);
    assert.isTrue(lookup.hasMatch);
    assert.deepStrictEqual(lookup.draft(4), [4, 5, 6, 7]);
  });

  it("drafts nothing after fewer than three tokens that stood before", () => {
    for (const tokens of [[], [1], [1, 1], [1, 2, 3, 4, 5], [1, 2, 3, 4, 9, 2, 3], [3, 2, 1, 1, 2, 3]]) {
      assert.isFalse(lookupOf(tokens).hasMatch);
      assert.deepStrictEqual(lookupOf(tokens).draft(4), []);
    }
  });

  it("goes on with its own draft where the match runs into the end", () => {
    assert.deepStrictEqual(lookupOf([5, 5, 5, 5]).draft(3), [5, 5, 5]);
    assert.deepStrictEqual(lookupOf([9, 1, 2, 3, 1, 2, 3]).draft(7), [1, 2, 3, 1, 2, 3, 1]);
  });

  it("prefers the occurrence with more before it alike, among such the latest", () => {
    const longer = [7, 8, 1, 2, 3, 40, 0, 6, 1, 2, 3, 50, 0, 7, 8, 1, 2, 3];
    assert.deepStrictEqual(lookupOf(longer).draft(1), [40]);
    const alike = [1, 2, 3, 40, 0, 6, 1, 2, 3, 50, 0, 7, 1, 2, 3];
    assert.deepStrictEqual(lookupOf(alike).draft(1), [50]);
  });

  it("tells of each token whether it was foretold", () => {
    const lookup = lookupOf([1, 2, 3, 4, 5, 6]);
    assert.deepStrictEqual(
      [9, 1, 2, 3, 4, 8].map((token) => lookup.push(token)),
      [undefined, undefined, undefined, undefined, true, false],
    );
  });

  it("drafts what stands somewhere after the same three tokens", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 60 }), (tokens) => {
        const lookup = lookupOf(tokens);
        const places = tokens.flatMap((_, end) =>
          end >= 3 && tokens.slice(end - 3, end).join() === tokens.slice(-3).join() ? [end] : [],
        );
        assert.strictEqual(lookup.hasMatch, places.length > 0);
        const draft = lookup.draft(5);
        assert.strictEqual(draft.length, places.length > 0 ? 5 : 0);
        const follows = places.map((place) => [...tokens, ...draft].slice(place, place + 5).join());
        if (places.length > 0) assert.include(follows, draft.join());
      }),
    );
  });
});
