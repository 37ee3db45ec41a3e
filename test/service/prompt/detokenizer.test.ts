import { assert, describe, it } from "@effect/vitest";
import fc from "fast-check";

import { createTokenizer } from "../../../src/service/prompt/create-tokenizer.ts";
import { describeVocabulary } from "../../../src/service/prompt/describe-vocabulary.ts";
import { createDetokenizer, decodeTokens } from "../../../src/service/prompt/detokenizer.ts";
import type { Tokenizer } from "../../../src/service/prompt/Tokenizer.ts";
import { createVocabulary } from "../../../src/service/prompt/Vocabulary.ts";
import { byteLevel, sentencePiece } from "../../fixtures/tokenizers.ts";
import { goldenNames, noGoldens, readGolden, tokenizerGolden } from "../../support/goldens.ts";

const vocabularyOf = (tokenizer: Tokenizer) => createVocabulary(describeVocabulary(tokenizer));
const streamed = (tokenizer: Tokenizer, ids: readonly number[]): readonly string[] => {
  const detokenizer = createDetokenizer(vocabularyOf(tokenizer));
  return [...ids.map((id) => detokenizer.push(id)), detokenizer.flush()];
};
const whole = (tokenizer: Tokenizer, ids: readonly number[]) => tokenizer.decode(ids, { skipSpecialTokens: true });

const hardTexts = [
  "한국어 문장입니다. 각 글자는 세 바이트.",
  "👩‍👩‍👧‍👦 🇰🇷 👍🏽 ☕️",
  "e\u0301 a\u0308\u0323 ก็ नि",
  "日本語 العربية Ελληνικά",
  "plain, with  spaces \n\n and\ttabs ",
  " leading",
  "\uFEFFmarked \uFEFF",
  "a real \uFFFD stays\uFFFD",
];

const tokenizers = [
  ["byte-level", createTokenizer(byteLevel), Array.from({ length: 256 }, (_, byte) => byte)],
  ["SentencePiece", createTokenizer(sentencePiece), Array.from({ length: 256 }, (_, byte) => byte + 3)],
] as const;

describe.each(tokenizers)("a %s detokenizer", (_, tokenizer, byteTokens) => {
  const asBytes = (text: string) => [...Buffer.from(text)].map((byte) => byteTokens[byte] ?? -1);

  it("splits no character, though every token is one byte", () => {
    for (const text of hardTexts) {
      const deltas = streamed(tokenizer, asBytes(text));
      assert.equal(deltas.join(""), whole(tokenizer, asBytes(text)));
      if (text.includes("\uFFFD")) continue;
      for (const delta of deltas) {
        assert.notInclude(delta, "\uFFFD");
        assert.isTrue(delta.isWellFormed());
      }
    }
  });

  it("gives a character out with its last byte", () => {
    assert.deepEqual(streamed(tokenizer, asBytes("h한h")), ["h", "", "", "한", "h", ""]);
    assert.deepEqual(streamed(tokenizer, asBytes("🇰")), ["", "", "", "🇰", ""]);
  });

  it("is not held up by a genuine U+FFFD", () => {
    assert.deepEqual(streamed(tokenizer, asBytes("\uFFFDh")), ["", "", "\uFFFD", "h", ""]);
  });

  it("ends an incomplete character with U+FFFD, at the flush", () => {
    assert.deepEqual(streamed(tokenizer, asBytes("h한").slice(0, -1)), ["h", "", "", "\uFFFD"]);
  });

  it("lets invalid bytes pass", () => {
    const ids = Array.from({ length: 50 }, () => byteTokens[0xff] ?? -1);
    const deltas = streamed(tokenizer, ids);
    assert.equal(deltas.join(""), whole(tokenizer, ids));
    assert.isTrue(deltas.slice(1, -1).every((delta) => delta === "\uFFFD"));
  });

  it("says what decode says of any tokens at all", () => {
    const vocabulary = vocabularyOf(tokenizer);
    const anyId = fc.oneof(
      fc.integer({ min: 0, max: tokenizer.vocabularySize + 1 }),
      fc.constantFrom(
        ...[0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xff, 0x20, 0xef, 0xbb, 0xbf].map(
          (byte) => byteTokens[byte] ?? -1,
        ),
      ),
    );
    fc.assert(
      fc.property(fc.array(anyId, { maxLength: 40 }), (ids) => {
        assert.equal(streamed(tokenizer, ids).join(""), whole(tokenizer, ids));
        const all = { skipSpecialTokens: false };
        assert.equal(decodeTokens(vocabulary, ids, all), tokenizer.decode(ids, all));
      }),
      { numRuns: 500 },
    );
  });
});

describe("createDetokenizer", () => {
  const [, tokenizer] = tokenizers[0];

  it("leaves special tokens out, in the middle of a character too", () => {
    assert.deepEqual(streamed(tokenizer, [265, 0xed, 0x95, 266, 0x9c, 266]), ["", "", "", "", "한", "", ""]);
  });

  it("writes the special tokens that are markers, after what was incomplete before them", () => {
    const marker = tokenizer.piece(265) ?? "";
    const detokenizer = createDetokenizer(vocabularyOf(tokenizer), (piece) => (piece === marker ? piece : ""));
    const ids = [104, 265, 266, 0xed, 0x95, 265, 105];
    const deltas = ids.map((id) => detokenizer.push(id));
    assert.deepEqual(deltas, ["h", marker, "", "", "", `\uFFFD${marker}`, "i"]);
    assert.equal(detokenizer.flush(), "");
  });

  it("keeps the space before a word that is not the first", () => {
    const [, sentences] = tokenizers[1];
    const ids = sentences.encode("hello hello", { addSpecialTokens: true });
    assert.equal(streamed(sentences, ids).join(""), "hello hello");
    assert.equal(streamed(sentences, [259, 259, 259, 271]).join(""), "   h");
  });
});

describe("detokenizer goldens", () => {
  it("stream to what transformers decodes", (context) => {
    if (goldenNames.length === 0) context.skip(noGoldens);
    for (const name of goldenNames) {
      const tokenizer = createTokenizer({
        tokenizerJson: readGolden(name, "tokenizer.json"),
        tokenizerConfig: readGolden(name, "tokenizer_config.json"),
      });
      for (const { ids_with_special, decoded_skip_special } of tokenizerGolden(name).texts) {
        const deltas = streamed(tokenizer, ids_with_special);
        assert.equal(deltas.join(""), decoded_skip_special);
        assert.isTrue(deltas.every((delta) => delta.isWellFormed() && !delta.includes("\uFFFD")));
      }
    }
  });
});
