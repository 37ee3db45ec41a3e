import type { Vocabulary } from "./Vocabulary.ts";

/** Decodes the output tokens of one sequence as they arrive. */
export interface Detokenizer {
  /** The text that the token completes, in whole code points; empty while a character is incomplete. */
  readonly push: (tokenId: number) => string;
  /** The remaining text; an incomplete character becomes U+FFFD. Call this once, at the end. */
  readonly flush: () => string;
}

/**
 * Decodes all tokens except special ones. Bytes that are not valid UTF-8 become U+FFFD, as in the tokenizer's own
 * decoder.
 *
 * @param special the text for a special token; empty to leave it out
 */
export const createDetokenizer = (
  vocabulary: Vocabulary,
  special: (piece: string, tokenId: number) => string = () => "",
): Detokenizer => {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  let isFirst = vocabulary.dropsFirstSpace;

  const text = (bytes: Uint8Array<ArrayBuffer>): string => {
    if (bytes.length === 0) return "";
    const own = isFirst && bytes[0] === space ? bytes.subarray(1) : bytes;
    isFirst = false;
    return decoder.decode(own, { stream: true });
  };

  return {
    push: (tokenId) => {
      if (!vocabulary.isSpecial(tokenId)) return text(vocabulary.bytes(tokenId));
      const written = special(vocabulary.piece(tokenId) ?? "", tokenId);
      return written === "" ? "" : decoder.decode() + written;
    },
    flush: () => decoder.decode(),
  };
};

const space = 0x20;

/**
 * For texts that are decoded in portions.
 *
 * @param options.skipSpecialTokens leaves special tokens out; otherwise their spellings are part of the text
 */
export const createDecoder = (
  vocabulary: Vocabulary,
  { skipSpecialTokens }: { readonly skipSpecialTokens: boolean },
): { readonly push: (ids: ReadonlyArray<number>) => string; readonly flush: () => string } => {
  const isSpecial = (id: number): boolean => skipSpecialTokens && vocabulary.isSpecial(id);
  const { push, flush } = createDetokenizer({ ...vocabulary, isSpecial });
  return { push: (ids) => ids.map(push).join(""), flush };
};

/** Decodes all tokens at once. */
export const decodeTokens = (
  vocabulary: Vocabulary,
  ids: ReadonlyArray<number>,
  options: { readonly skipSpecialTokens: boolean },
): string => {
  const { push, flush } = createDecoder(vocabulary, options);
  return push(ids) + flush();
};
