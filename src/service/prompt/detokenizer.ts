import type { Vocabulary } from "./Vocabulary.ts";

/** Turns one sequence's output tokens into text as they come. */
export interface Detokenizer {
  /** The text that the token completes, in whole code points: empty while a character is incomplete. */
  readonly push: (tokenId: number) => string;
  /** The rest, an incomplete character as U+FFFD. Call it once, at the end. */
  readonly flush: () => string;
}

/**
 * The text of all tokens but special ones. Bytes that are no valid UTF-8 become U+FFFD, as in the tokenizer's own decoder.
 *
 * @param special what to write for a special token; empty: it is left out
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
 * For texts that are decoded portion by portion.
 *
 * @param options.skipSpecialTokens leaves them out; otherwise they are text as they are spelled
 */
export const createDecoder = (
  vocabulary: Vocabulary,
  { skipSpecialTokens }: { readonly skipSpecialTokens: boolean },
): { readonly push: (ids: ReadonlyArray<number>) => string; readonly flush: () => string } => {
  const isSpecial = (id: number): boolean => skipSpecialTokens && vocabulary.isSpecial(id);
  const { push, flush } = createDetokenizer({ ...vocabulary, isSpecial });
  return { push: (ids) => ids.map(push).join(""), flush };
};

/** The text of all of them at once. */
export const decodeTokens = (
  vocabulary: Vocabulary,
  ids: ReadonlyArray<number>,
  options: { readonly skipSpecialTokens: boolean },
): string => {
  const { push, flush } = createDecoder(vocabulary, options);
  return push(ids) + flush();
};
