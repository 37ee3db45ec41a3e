/** Takes special tokens out of text in which they are marked as such. */
import { createMarkerScanner } from "./marker-scanner.ts";
import { asToken, tokenUnit, unmarked } from "./token-marks.ts";

export interface TokenFilter {
  readonly push: (text: string) => string;
  /** The text held back, which has become no token. */
  readonly flush: () => string;
  /** A text that is there as a whole. */
  readonly all: (text: string) => string;
  /** What was taken out, as it is spelled. */
  readonly removed: ReadonlySet<string>;
}

/** @param tokens as they are spelled; in ordinary tokens these stay */
export const createTokenFilter = (tokens: ReadonlySet<string>): TokenFilter => {
  const scanner = createMarkerScanner([...tokens].map(asToken));
  const removed = new Set<string>();
  /** UTF-16 units that the scanner holds back. */
  let held = 0;
  const push = (piece: string): string => {
    // Every piece of every output passes here, and hardly any has a token in it.
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
