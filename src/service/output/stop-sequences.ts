/** Finds the end of a generation in its text, across the cuts between tokens. */
import { createMarkerScanner } from "./marker-scanner.ts";

interface StopStep {
  /** What can be given out: nothing that may still become a stop sequence. */
  readonly text: string;
  /** The stop sequence that ended the text; once there is one, later steps are empty and tell it again. */
  readonly matched: string | undefined;
}

export interface StopMatcher {
  /** `text` is in whole code points. */
  readonly push: (text: string) => StopStep;
  /** The text held back, when the generation ended otherwise. Call it once, at the end. */
  readonly flush: () => string;
}

/**
 * The sequence that is complete first ends the text; of those that end at the same place the longest.
 *
 * @param includeStop whether the sequence itself belongs to the text
 */
export const createStopMatcher = (sequences: ReadonlyArray<string>, includeStop: boolean): StopMatcher => {
  const scanner = createMarkerScanner(sequences);
  let matched: string | undefined;
  return {
    push: (piece) => {
      if (matched !== undefined) return { text: "", matched };
      const { text, marker } = scanner.scan(piece);
      matched = marker;
      return { text: includeStop && marker !== undefined ? text + marker : text, matched };
    },
    flush: () => scanner.flush(),
  };
};
