import { assert, describe, it } from "@effect/vitest";
import { createTokenizer } from "../../../src/service/prompt/create-tokenizer.ts";
import { encodeWithin } from "../../../src/service/prompt/encode-within.ts";
import { byteLevel } from "../../fixtures/tokenizers.ts";

/** Counts the UTF-16 units that are tokenised. */
const counting = () => {
  const tokenizer = createTokenizer(byteLevel);
  let units = 0;
  const encode: typeof tokenizer.encode = (text, options) => {
    units += text.length;
    return tokenizer.encode(text, options);
  };
  return { tokenizer: { ...tokenizer, encode }, units: () => units };
};
const options = { addSpecialTokens: false };
const limit = 100;
const tokensOf = (result: ReturnType<typeof encodeWithin>): readonly number[] =>
  "tokenIds" in result ? [...result.tokenIds] : [];

describe("encodeWithin", () => {
  it("tokenises a text that fits, once", () => {
    const { tokenizer, units } = counting();
    const text = "hello wo".repeat(50);
    assert.deepEqual(tokensOf(encodeWithin(tokenizer, text, options, limit)), tokenizer.encode(text, options));
    assert.equal(units(), 2 * text.length);
  });

  it("tells how long a text is that is a little too long", () => {
    const { tokenizer } = counting();
    const ids = tokensOf(encodeWithin(tokenizer, "x".repeat(limit + 1), options, limit));
    assert.lengthOf(ids, limit + 1);
  });

  it("refuses by its length alone a text that no tokens could cover", () => {
    const { tokenizer, units } = counting();
    const result = encodeWithin(tokenizer, "x".repeat(100_000), options, limit);
    assert.property(result, "atLeast");
    assert.equal(units(), 0);
  });

  it("tokenises no more than the beginning of a text that is far too long", () => {
    const { tokenizer, units } = counting();
    const text = "👍한".repeat(1000);
    const result = encodeWithin(tokenizer, text, options, limit);
    const atLeast = "atLeast" in result ? result.atLeast : 0;
    assert.isAtLeast(atLeast, limit);
    assert.isAtMost(atLeast, tokenizer.encode(text, options).length);
    assert.isAtMost(units() - text.length, 8 * limit);
  });

  it("takes a long text of few tokens for what it is", () => {
    const { tokenizer } = counting();
    const text = "<|endoftext|>".repeat(90);
    assert.lengthOf(tokensOf(encodeWithin(tokenizer, text, options, limit)), 90);
  });
});
