import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { createTokenizer } from "../../../src/service/prompt/create-tokenizer.ts";
import { fewestTokens } from "../../../src/service/prompt/longest-token.ts";
import { byteLevel, sentencePiece, type TokenizerFixture } from "../../fixtures/tokenizers.ts";

const longest = (fixture: TokenizerFixture, changes: object = {}) =>
  createTokenizer({ ...fixture, tokenizerJson: { ...fixture.tokenizerJson, ...changes } }).longestTokenBytes;

/** Grows words, white space, marks that compose, added tokens. */
const texts = fc
  .array(
    fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "hello",
        " wo",
        "          ",
        "<|endoftext|>",
        "<|im_end|>",
        "e\u0301",
        "\u1fbe\u0308\u0301",
        "한글",
        "👩‍👩‍👧",
      ),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(""));

describe("fewestTokens", () => {
  it.each([
    ["byte-level", byteLevel],
    ["SentencePiece", sentencePiece],
  ])("never tells more than a %s tokenizer makes", (_, fixture) => {
    const tokenizer = createTokenizer(fixture);
    fc.assert(
      fc.property(texts, (text) => {
        const tokens = tokenizer.encode(text, { addSpecialTokens: false }).length;
        assert.isAtMost(fewestTokens(text, tokenizer.longestTokenBytes), tokens);
      }),
    );
  });

  it("holds where an added token swallows the white space beside it", () => {
    const added_tokens = (byteLevel.tokenizerJson["added_tokens"] as object[]).map((token) => ({
      ...token,
      rstrip: true,
    }));
    const fixture = { ...byteLevel, tokenizerJson: { ...byteLevel.tokenizerJson, added_tokens } };
    const tokenizer = createTokenizer(fixture);
    const text = `<|im_end|>${" ".repeat(1000)}`;
    assert.lengthOf(tokenizer.encode(text, { addSpecialTokens: false }), 1);
    assert.equal(fewestTokens(text, tokenizer.longestTokenBytes), 1);
  });

  it("grows with the text", () => {
    assert.isAbove(fewestTokens("word ".repeat(1000), longest(byteLevel)), 90);
    assert.equal(fewestTokens("", 10), 0);
  });
});

describe("longestTokenBytes", () => {
  it("counts a byte for each character of a byte-level piece, times what NFC may shrink", () => {
    assert.equal(longest(byteLevel, { normalizer: null }), "<|endoftext|>".length);
    assert.equal(longest(byteLevel), 4 * "<|endoftext|>".length);
  });

  it("counts what a replacement shortens", () => {
    const replace = (from: string, to: string) => ({
      normalizer: { type: "Replace", pattern: { String: from }, content: to },
    });
    assert.equal(longest(byteLevel, replace("aaaa", "aa")), 2 * "<|endoftext|>".length);
    assert.equal(longest(byteLevel, replace(" ", "▁")), "<|endoftext|>".length);
    assert.equal(longest(byteLevel, replace("a", "")), Infinity);
  });

  it("tells nothing where the tokenizer may drop text", () => {
    assert.equal(longest(byteLevel, { normalizer: { type: "Strip", strip_left: true, strip_right: true } }), Infinity);
    assert.equal(longest(byteLevel, { pre_tokenizer: { type: "WhitespaceSplit" } }), Infinity);
    const model = { ...(sentencePiece.tokenizerJson["model"] as object), vocab: { "<unk>": 0, a: 1 }, merges: [] };
    assert.equal(longest(sentencePiece, { model }), Infinity);
    assert.equal(fewestTokens("x".repeat(1000), Infinity), 0);
  });

  it("takes the right factor for Unicode's normal forms: four", () => {
    for (const [form, decomposed] of [
      ["NFC", "NFD"],
      ["NFKC", "NFKD"],
    ] as const) {
      const worst = worstShrinkage(form, decomposed);
      assert.equal(worst, form === "NFC" ? 3.5 : 4);
    }
  });
});

/** Bytes of the longest text that normalises to one code point, per byte of it, at the worst. */
const worstShrinkage = (form: "NFC" | "NFKC", decomposed: "NFD" | "NFKD"): number => {
  /** By their decomposition; what stands for itself only is not in it. */
  const longestSource = new Map<string, number>();
  const results = new Set<string>();
  for (let point = 0x80; point <= 0x10ffff; point++) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const text = String.fromCodePoint(point);
    const parts = text.normalize(decomposed);
    if (parts === text) continue;
    longestSource.set(parts, Math.max(Buffer.byteLength(text), longestSource.get(parts) ?? Buffer.byteLength(parts)));
    const result = text.normalize(form);
    if ([...result].length === 1) results.add(result);
  }
  const lengthOf = (parts: readonly string[]) =>
    longestSource.get(parts.join("")) ?? (parts.length === 1 ? Buffer.byteLength(parts.join("")) : -Infinity);
  let worst = 0;
  for (const result of results) {
    const parts = [...result.normalize(decomposed)];
    const most = [0];
    for (let end = 1; end <= parts.length; end++) {
      most.push(Math.max(...most.map((before, start) => before + lengthOf(parts.slice(start, end)))));
    }
    worst = Math.max(worst, (most.at(-1) ?? 0) / Buffer.byteLength(result));
  }
  return worst;
};
