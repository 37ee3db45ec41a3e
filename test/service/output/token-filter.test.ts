import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { createTokenFilter } from "../../../src/service/output/token-filter.ts";
import { asToken, unmarked } from "../../../src/service/output/token-marks.ts";

const tokens = ["<|a|>", "<|ab|>"];
const filtered = (pieces: ReadonlyArray<string>) => {
  const filter = createTokenFilter(new Set(tokens));
  const text = pieces.map(filter.push).join("") + filter.flush();
  return { text, removed: [...filter.removed] };
};

describe("a token filter", () => {
  it("takes out its tokens, and leaves other tokens and the same characters in ordinary ones", () => {
    const kept = `<|a|> ${asToken("<|c|>")} x`;
    assert.deepStrictEqual(filtered([`${asToken("<|a|>")}${kept}`, asToken("<|ab|>")]), {
      text: kept,
      removed: ["<|a|>", "<|ab|>"],
    });
  });

  it("finds them wherever the text is cut", () => {
    const part = fc.constantFrom("x", "<|", "<|a|>", "|>", asToken("<|a|>"), asToken("<|ab|>"), asToken("<|c|>"));
    fc.assert(
      fc.property(fc.array(part), fc.array(fc.nat(40)), (parts, cuts) => {
        const whole = parts.join("");
        const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].toSorted((a, b) => a - b);
        const pieces = [0, ...places].map((from, at) => whole.slice(from, places[at] ?? whole.length));
        assert.strictEqual(pieces.join(""), whole);
        const expected = parts.filter((each) => !tokens.some((token) => each === asToken(token))).join("");
        assert.strictEqual(unmarked(filtered(pieces).text), unmarked(expected));
      }),
    );
  });
});
