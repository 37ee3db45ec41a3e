/** Trims blank space from both ends of a text that arrives in pieces. */

export interface Trim {
  /** Blank space is held back while it may be the end of the text. */
  readonly push: (text: string) => string;
  /** The held-back blank space, if it has to be kept after all. */
  readonly held: () => string;
}

/** @param keepsStart whether the text continues an earlier one, so that its leading blank space is kept */
export const createTrim = (keepsStart: boolean): Trim => {
  let begun = keepsStart;
  let blank = "";
  return {
    push: (piece) => {
      const text = begun ? piece : piece.trimStart();
      const solid = text.trimEnd();
      if (solid === "") {
        blank += text;
        return "";
      }
      begun = true;
      const ready = blank + solid;
      blank = text.slice(solid.length);
      return ready;
    },
    held: () => blank,
  };
};
