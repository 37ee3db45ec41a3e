/** A tokenizer without a vocabulary file: one token for each byte. */
import { describeVocabulary } from "../../src/service/prompt/describe-vocabulary.ts";
import type { Tokenizer } from "../../src/service/prompt/Tokenizer.ts";
import { createVocabulary } from "../../src/service/prompt/Vocabulary.ts";

export const byteTokenizer: Tokenizer = {
  vocabularySize: 256,
  longestTokenBytes: 1,
  isSpecial: () => false,
  encode: (text) => [...new TextEncoder().encode(text)],
  decode: (ids) => new TextDecoder().decode(Uint8Array.from(ids)),
  bytes: (id) => Uint8Array.from(id < 256 ? [id] : []),
  piece: (id) => (id < 256 ? `<0x${id.toString(16)}>` : undefined),
};

export const byteVocabulary = createVocabulary(describeVocabulary(byteTokenizer));
