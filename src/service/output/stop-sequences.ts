/** Finds stop sequences in the text, across the boundaries of tokens. */
import { createMarkerScanner } from "./marker-scanner.ts";
import { tokenUnit } from "./token-marks.ts";

export interface StopStep {
  /** Text that can be emitted: nothing in it may still become part of a stop sequence. */
  readonly text: string;
  /** The stop sequence that ended the text. Once there is one, later steps are empty and repeat it. */
  readonly matched: string | undefined;
  /** The stop sequence as it is written in the text; empty if there is none. */
  readonly written: string;
}

export interface StopMatcher {
  /** `text` consists of whole code points. */
  readonly push: (text: string) => StopStep;
  /** The held-back text, if the generation ended for another reason. Call this once, at the end. */
  readonly flush: () => string;
}

/**
 * The sequence that is complete first ends the text; of several that end at the same place, the longest. A sequence
 * matches whether its characters come from special tokens, ordinary tokens or both; a sequence that is marked as a
 * token matches only that token.
 */
export const createStopMatcher = (sequences: ReadonlyArray<string>): StopMatcher => {
  const scanner = createMarkerScanner(sequences, tokenUnit);
  let matched: string | undefined;
  return {
    push: (piece) => {
      if (matched !== undefined) return { text: "", matched, written: "" };
      const { text, marker, written } = scanner.scan(piece);
      matched = marker;
      return { text, matched, written };
    },
    flush: () => scanner.flush(),
  };
};
