import { assert, describe, it } from "@effect/vitest";

import { describeLogprobs } from "../../../src/service/engine/token-logprobs.ts";
import { byteVocabulary } from "../../support/byte-tokenizer.ts";

describe("describeLogprobs", () => {
  it("adds the text and the bytes of the token and of each alternative", () => {
    const logprobs = {
      logprob: -0.5,
      top: [
        { tokenId: 0x62, logprob: -0.25 },
        { tokenId: 0x61, logprob: -0.5 },
      ],
    };
    assert.deepEqual(describeLogprobs(byteVocabulary, 0x61, logprobs), {
      tokenId: 0x61,
      text: "a",
      raw: Uint8Array.of(0x61),
      logprob: -0.5,
      top: [
        { tokenId: 0x62, text: "b", raw: Uint8Array.of(0x62), logprob: -0.25 },
        { tokenId: 0x61, text: "a", raw: Uint8Array.of(0x61), logprob: -0.5 },
      ],
    });
  });

  it("has no logprob for the first token of a prompt, and keeps the bytes of a part of a character", () => {
    const described = describeLogprobs(byteVocabulary, 0xec, undefined);
    assert.deepEqual(described, {
      tokenId: 0xec,
      text: "\u{FFFD}",
      raw: Uint8Array.of(0xec),
      logprob: undefined,
      top: [],
    });
  });

  it("keeps a byte order mark, which is a character of the output", () => {
    const vocabulary = { ...byteVocabulary, bytes: () => Uint8Array.of(0xef, 0xbb, 0xbf) };
    assert.equal(describeLogprobs(vocabulary, 7, undefined).text, "\u{FEFF}");
  });
});
