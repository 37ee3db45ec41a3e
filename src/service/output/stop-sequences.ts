/** Finds the end of a generation in its text, across the cuts between tokens. */
import { createMarkerScanner } from "./marker-scanner.ts";
import { tokenUnit } from "./token-marks.ts";

export interface StopStep {
  /** What can be given out: nothing that may still become a stop sequence. */
  readonly text: string;
  /** The stop sequence that ended the text; once there is one, later steps are empty and tell it again. */
  readonly matched: string | undefined;
  /** It, as it stands in the text; empty where there is none. */
  readonly written: string;
}

export interface StopMatcher {
  /** `text` is in whole code points. */
  readonly push: (text: string) => StopStep;
  /** The text held back, when the generation ended otherwise. Call it once, at the end. */
  readonly flush: () => string;
}

/**
 * The sequence that is complete first ends the text; of those that end at the same place the longest. A sequence stops
 * whether its characters are special tokens or ordinary ones, in part too; one that is marked as a token, only as that.
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
