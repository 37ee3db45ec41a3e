/**
 * Reads a piece of text in several steps.
 *
 * @param read reads the beginning of its argument and returns the rest
 */
export const inParts =
  (read: (piece: string) => string): ((piece: string) => void) =>
  (piece) => {
    for (let rest = piece; rest !== "";) rest = read(rest);
  };
