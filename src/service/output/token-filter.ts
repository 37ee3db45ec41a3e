/** Takes special tokens out of text in which they are marked as such. */
import { createMarkerScanner } from "./marker-scanner.ts";
import { asToken, unmarked } from "./token-marks.ts";

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
  const push = (piece: string): string => {
    let text = "";
    for (let rest = piece; rest !== "";) {
      const found = scanner.scan(rest);
      text += found.text;
      if (found.marker !== undefined) removed.add(unmarked(found.marker));
      rest = found.rest;
    }
    return text;
  };
  return { push, flush: scanner.flush, all: (text) => push(text) + scanner.flush(), removed };
};
