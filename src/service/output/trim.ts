/** Takes blank space off both ends of a text that comes in pieces. */

export interface Trim {
  /** What is blank so far is held back: it may be the end. */
  readonly push: (text: string) => string;
  /** What is held back; asked for where the text's end is no blank space to drop. */
  readonly held: () => string;
}

/** @param keepsStart whether the text goes on with one that has begun: its first blank space then stands within it */
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
