/** Where text leaves a parser: removes the blank space beside removed markers. */
import type { Emit } from "./deltas.ts";

export interface TextGate {
  readonly push: (text: string) => void;
  /** Drops white space until other text comes. */
  readonly skipBlank: () => void;
}

export const createTextGate = (emit: Emit, type: "text" | "reasoning" = "text"): TextGate => {
  let skipping = false;
  return {
    push: (piece) => {
      const text = skipping ? piece.trimStart() : piece;
      if (text === "") return;
      skipping = false;
      emit({ type, text });
    },
    skipBlank: () => (skipping = true),
  };
};

/** The marker preceded by the line breaks that models write before it; these belong to the marker, not to the text. */
export const withBlankLines = (...markers: ReadonlyArray<string>): ReadonlyArray<string> =>
  markers.flatMap((marker) => [marker, `\n${marker}`, `\n\n${marker}`]);
