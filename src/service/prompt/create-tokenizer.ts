/** Makes a tokenizer from a checkpoint's files, based on @huggingface/tokenizers. */
import { BPE, ByteFallbackDecoder, type Decoder, SequenceDecoder, Tokenizer as Library } from "@huggingface/tokenizers";

import { createBytePairEncoder, type EncodeWord } from "./byte-pair-encoding.ts";
import { longestTokenBytes } from "./longest-token.ts";
import { specialTokens } from "./special-tokens.ts";
import { createTokenBytes } from "./token-bytes.ts";
import type { Tokenizer } from "./Tokenizer.ts";

export interface TokenizerFiles {
  /** The decoded tokenizer.json. */
  readonly tokenizerJson: object;
  /** The decoded tokenizer_config.json. */
  readonly tokenizerConfig: object;
}

/** Throws the library's plain Error, which contains no path, if it does not support the files. */
export const createTokenizer = ({ tokenizerJson, tokenizerConfig }: TokenizerFiles): Tokenizer => {
  const merges = readMerges(tokenizerJson);
  const library = new Library(merges === undefined ? tokenizerJson : withoutMerges(tokenizerJson), tokenizerConfig);
  if (library.decoder) keepByteOrderMarks(library.decoder);
  if (library.model instanceof BPE && merges !== undefined) encodeWords(library.model, createBytePairEncoder(merges));
  const pieces: ReadonlyArray<string | undefined> = library.model.vocab;
  const special = new Set<number>();
  const added = new Set<number>();
  for (const token of library.get_added_tokens_decoder().values()) {
    added.add(token.id);
    if (token.special) special.add(token.id);
  }
  for (const token of Object.values(specialTokens(tokenizerConfig)).flat()) {
    const id = library.token_to_id(token);
    if (id !== undefined) special.add(id);
  }
  return {
    vocabularySize: pieces.length,
    longestTokenBytes: longestTokenBytes(tokenizerJson, pieces),
    encode: (text, { addSpecialTokens }) => library.encode(text, { add_special_tokens: addSpecialTokens }).ids,
    decode: (ids, { skipSpecialTokens }) => {
      // Ids beyond the vocabulary (models pad their logits) have no text, as in the Rust tokenizers.
      const known = ids.filter((id) => pieces[id] !== undefined && !(skipSpecialTokens && special.has(id)));
      // Always without clean-up, which joins " ." to "." across tokens: a stream has to be exactly what the model
      // wrote.
      return known.length === 0 ? "" : library.decode(known, { clean_up_tokenization_spaces: false });
    },
    isSpecial: (id) => special.has(id),
    piece: (id) => pieces[id],
    bytes: createTokenBytes({
      tokenizerJson,
      pieces,
      addedTokenIds: added,
      // Without clean-up, as above.
      decode: (ids) => library.decode(ids, { clean_up_tokenization_spaces: false }),
    }),
  };
};

interface BpeModel {
  readonly type?: unknown;
  readonly merges: ReadonlyArray<string | [string, string]>;
  readonly end_of_word_suffix?: unknown;
  readonly continuing_subword_suffix?: unknown;
}

/** By rank; undefined if words are not encoded by merges only. */
const readMerges = (tokenizerJson: object): ReadonlyArray<[string, string]> | undefined => {
  const { model } = tokenizerJson as { readonly model?: BpeModel };
  if (model?.type !== "BPE" || model.end_of_word_suffix || model.continuing_subword_suffix) return undefined;
  return model.merges.map((merge) => {
    if (typeof merge !== "string") return merge;
    const [left = "", right = ""] = merge.split(" ", 2);
    return [left, right];
  });
};

/** The library makes a text of each merge, which would take longer than everything else. */
const withoutMerges = (tokenizerJson: object): object => ({
  ...tokenizerJson,
  model: { ...(tokenizerJson as { readonly model: object }).model, merges: [] },
});

/** Replaces the library's own encoder, which is slow. */
const encodeWords = (model: BPE, encodeWord: EncodeWord): void => {
  const { cache, max_length_to_cache: longestKept } = model;
  model.bpe = (word) => {
    const known = cache.get(word);
    if (known !== undefined) return known;
    const pieces = encodeWord(word);
    if (word.length < longestKept) cache.put(word, pieces);
    return pieces;
  };
};

/** The library's byte-fallback decoder drops U+FEFF at the start of a run; the Rust tokenizers keep it. */
const keepByteOrderMarks = (decoder: Decoder): void => {
  if (decoder instanceof ByteFallbackDecoder) decoder.text_decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  if (decoder instanceof SequenceDecoder) for (const part of decoder.decoders) keepByteOrderMarks(part);
};
