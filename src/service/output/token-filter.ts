/** Removes special tokens from text in which they are marked. */
import { createMarkerScanner } from "./marker-scanner.ts";
import { asToken, tokenUnit, unmarked } from "./token-marks.ts";

export interface TokenFilter {
  readonly push: (text: string) => string;
  /** The held-back text, which has not become a special token. */
  readonly flush: () => string;
  /** Filters a complete text. */
  readonly all: (text: string) => string;
  /** The removed tokens, as they are spelled. */
  readonly removed: ReadonlySet<string>;
}

/** @param tokens the tokens' spellings; the same characters in ordinary tokens are kept */
export const createTokenFilter = (tokens: ReadonlySet<string>): TokenFilter => {
  const scanner = createMarkerScanner([...tokens].map(asToken));
  const removed = new Set<string>();
  /** How many UTF-16 units the scanner holds back. */
  let held = 0;
  const push = (piece: string): string => {
    // A fast path: every piece of every output passes here, and hardly any contains a special token.
    if (held === 0 && !piece.includes(tokenUnit)) return piece;
    let text = "";
    held += piece.length;
    for (let rest = piece; rest !== "";) {
      const found = scanner.scan(rest);
      text += found.text;
      held -= found.text.length + found.written.length;
      if (found.marker !== undefined) removed.add(unmarked(found.marker));
      rest = found.rest;
    }
    return text;
  };
  const flush = (): string => {
    held = 0;
    return scanner.flush();
  };
  return { push, flush, all: (text) => push(text) + flush(), removed };
};
