import { assert, describe, it } from "@effect/vitest";

import { createTokenizer } from "../../../src/service/prompt/create-tokenizer.ts";
import type { Tokenizer } from "../../../src/service/prompt/Tokenizer.ts";
import { byteLevel, sentencePiece } from "../../fixtures/tokenizers.ts";
import { goldenNames, noGoldens, readGolden, tokenizerGolden } from "../../support/goldens.ts";

const plain = { addSpecialTokens: false };
const all = { skipSpecialTokens: false };
const textOnly = { skipSpecialTokens: true };

describe("a byte-level tokenizer", () => {
  const tokenizer = createTokenizer(byteLevel);

  it("merges by rank and keeps added tokens whole", () => {
    assert.deepEqual(tokenizer.encode("hello wo<|im_end|>", plain), [259, 261, 266]);
  });

  it("normalises as its file says", () => {
    assert.deepEqual(tokenizer.encode("e\u0301", plain), [0xc3, 0xa9]);
  });

  it("decodes bytes over tokens, with and without special tokens", () => {
    const ids = [265, 0xed, 0x95, 266, 0x9c, 267];
    assert.equal(tokenizer.decode(ids, textOnly), "한<tool_call>");
    assert.equal(tokenizer.decode([265, 0xed, 0x95, 0x9c], all), "<|im_start|>한");
  });

  it("reads bytes that are no UTF-8 as U+FFFD", () => {
    assert.equal(tokenizer.decode([0x68, 0xff, 0xe2, 0x82], all), "h\uFFFD\uFFFD");
  });

  it("leaves out what tokenizer_config.json names as special, too", () => {
    assert.equal(tokenizer.decode([264, 0x68], textOnly), "h");
    const config = { ...byteLevel.tokenizerConfig, additional_special_tokens: ["<tool_call>"] };
    const other = createTokenizer({ ...byteLevel, tokenizerConfig: config });
    assert.equal(other.decode([267, 0x68], textOnly), "h");
  });

  it("decodes no ids to no text, and ids that it does not have to nothing", () => {
    assert.equal(tokenizer.decode([], all), "");
    assert.equal(tokenizer.decode([999, 0x68, 5000], all), "h");
    assert.equal(tokenizer.decode([999], all), "");
  });

  it("tells pieces and its size", () => {
    assert.equal(tokenizer.vocabularySize, 268);
    assert.equal(tokenizer.piece(261), "Ġwo");
    assert.equal(tokenizer.piece(266), "<|im_end|>");
    assert.isUndefined(tokenizer.piece(268));
  });

  it("does not tidy spaces before punctuation, whatever the configuration asks", () => {
    const config = { ...byteLevel.tokenizerConfig, clean_up_tokenization_spaces: true };
    const tidying = createTokenizer({ ...byteLevel, tokenizerConfig: config });
    assert.equal(tidying.decode(tidying.encode("he said , well .", plain), all), "he said , well .");
  });
});

describe("a SentencePiece tokenizer", () => {
  const tokenizer = createTokenizer(sentencePiece);
  const decodeText = (text: string) => tokenizer.decode(tokenizer.encode(text, plain), all);

  it("adds its special tokens on demand", () => {
    assert.deepEqual(tokenizer.encode("hello", { addSpecialTokens: true }).slice(0, 2), [1, 271]);
    assert.deepEqual(tokenizer.encode("hello", plain).slice(0, 1), [271]);
  });

  it("gives texts back, spaces and bytes beyond its vocabulary included", () => {
    for (const text of ["hello", " hello", "  two  spaces ", "한글 🇰🇷", "", "\t\n"])
      assert.equal(decodeText(text), text);
  });

  it("keeps a byte order mark at the start of a run of byte tokens", () => {
    assert.equal(decodeText("h\uFEFFh"), "h\uFEFFh");
  });
});

describe("the bytes of a token", () => {
  const bytesOf = (tokenizer: Tokenizer, ids: ReadonlyArray<number>) => ids.map((id) => [...tokenizer.bytes(id)]);

  it("of a byte-level vocabulary may be a part of a character", () => {
    const tokenizer = createTokenizer(byteLevel);
    assert.deepEqual(bytesOf(tokenizer, [0xed, 0x95, 0x00, 261]), [[0xed], [0x95], [0], [0x20, 0x77, 0x6f]]);
    // A merge of the first two bytes of one character.
    assert.deepEqual(bytesOf(tokenizer, [262]), [[0xec, 0x95]]);
  });

  it("of a SentencePiece vocabulary are a space for its mark, also where a decoder trims it, and single bytes", () => {
    const tokenizer = createTokenizer(sentencePiece);
    const ids = tokenizer.encode("a hello 한", plain);
    assert.equal(Buffer.concat(ids.map((id) => tokenizer.bytes(id))).toString(), " a hello 한");
    assert.equal(tokenizer.decode(ids, all), "a hello 한");
    assert.isTrue(ids.some((id) => tokenizer.bytes(id).length === 1 && (tokenizer.bytes(id)[0] ?? 0) > 127));
  });

  it("of an added token are its spelling, and of an unknown id none", () => {
    const tokenizer = createTokenizer(byteLevel);
    assert.equal(Buffer.from(tokenizer.bytes(266)).toString(), "<|im_end|>");
    assert.equal(Buffer.from(tokenizer.bytes(267)).toString(), "<tool_call>");
    assert.deepEqual(bytesOf(tokenizer, [268, 99_999]), [[], []]);
  });

  it("join to the text, for every text of the goldens", (context) => {
    if (goldenNames.length === 0) context.skip(noGoldens);
    for (const name of goldenNames) {
      const tokenizer = createTokenizer({
        tokenizerJson: readGolden(name, "tokenizer.json"),
        tokenizerConfig: readGolden(name, "tokenizer_config.json"),
      });
      for (const { text, ids, decoded } of tokenizerGolden(name).texts) {
        const joined = Buffer.concat(ids.map((id) => tokenizer.bytes(id)));
        assert.equal(joined.toString(), decoded, `${name}: ${JSON.stringify(text)}`);
      }
    }
  });
});

describe("tokenizer goldens", () => {
  it("agree with transformers, text by text", (context) => {
    if (goldenNames.length === 0) context.skip(noGoldens);
    for (const name of goldenNames) {
      const tokenizer = createTokenizer({
        tokenizerJson: readGolden(name, "tokenizer.json"),
        tokenizerConfig: readGolden(name, "tokenizer_config.json"),
      });
      for (const { text, ...golden } of tokenizerGolden(name).texts) {
        const ids = tokenizer.encode(text, plain);
        const computed = {
          ids,
          ids_with_special: tokenizer.encode(text, { addSpecialTokens: true }),
          decoded: tokenizer.decode(ids, all),
          decoded_skip_special: tokenizer.decode(ids, textOnly),
        };
        assert.deepEqual(computed, golden, `${name}: ${JSON.stringify(text)}`);
      }
    }
  });
});
