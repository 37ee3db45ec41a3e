/**
 * Takes in a piece part by part.
 *
 * @param read takes a part of what it is given and returns the rest
 */
export const inParts =
  (read: (piece: string) => string): ((piece: string) => void) =>
  (piece) => {
    for (let rest = piece; rest !== "";) rest = read(rest);
  };
