import type { Tokenizer } from "./Tokenizer.ts";

/** Turns one sequence's output tokens into text as they come. */
export interface Detokenizer {
  /** The text that the token completes, in whole code points: empty while a character is incomplete. */
  readonly push: (tokenId: number) => string;
  /** The rest, an incomplete character as U+FFFD. Call it once, at the end. */
  readonly flush: () => string;
}

/**
 * All it returns, put together, is what `decode` makes of all ids without special tokens, those apart that `markers`
 * names: they are text too.
 *
 * It decodes a window of a few tokens, never the whole history, and takes what goes beyond the text already given. The
 * token before stays in the window, as decoders trim the space of a text's first token. Only a last U+FFFD is held
 * back: a decoder writes one for an incomplete tail, whatever its length, and one that is followed by anything is final.
 */
export const createDetokenizer = (tokenizer: Tokenizer, markers: ReadonlySet<string> = new Set()): Detokenizer => {
  let window: number[] = [];
  /** UTF-16 units of the window's text that were given. */
  let given = 0;

  const decode = (ids: ReadonlyArray<number>) => tokenizer.decode(ids, { skipSpecialTokens: true });
  /** In the window each token must bring a byte, or an incomplete character could be pushed out of it. */
  const isSilent = (id: number) =>
    tokenizer.piece(id) === undefined ||
    (decode([id]) === "" && tokenizer.decode([id], { skipSpecialTokens: false }) !== "");

  /** What an incomplete character becomes when it stays one. */
  const takeRest = (): string => {
    const rest = decode(window).slice(given);
    given += rest.length;
    return rest;
  };

  return {
    push: (tokenId) => {
      if (isSilent(tokenId)) {
        const marker = tokenizer.piece(tokenId) ?? "";
        return markers.has(marker) ? takeRest() + marker : "";
      }
      window.push(tokenId);
      const text = decode(window);
      const held = text.endsWith("\uFFFD") ? 1 : 0;
      const delta = text.slice(given, text.length - held);
      given = text.length - held;
      if (held === 0 || window.length > longestWindow) {
        window = window.slice(held === 0 ? -1 : -longestTail);
        given = decode(window).length - held;
      }
      return delta;
    },
    flush: takeRest,
  };
};

/** Tokens that an incomplete character may span (three bytes of UTF-8), and one before them. */
const longestTail = 4;
/** Tokens decoded at once, where a model writes nothing but invalid bytes. */
const longestWindow = 8;
