/** Where text leaves a parser: blank space beside what was taken out of it goes too. */
import type { Emit } from "./deltas.ts";

export interface TextGate {
  readonly push: (text: string) => void;
  /** Drops white space until something else comes. */
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

/** The marker with the line ends that models write before it: they belong to it and not to the text. */
export const withBlankLines = (...markers: ReadonlyArray<string>): ReadonlyArray<string> =>
  markers.flatMap((marker) => [marker, `\n${marker}`, `\n\n${marker}`]);
