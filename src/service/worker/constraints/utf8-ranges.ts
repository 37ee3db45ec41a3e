/** Converts ranges of code points to UTF-8: sequences of byte ranges. */

export type ByteRange = readonly [first: number, last: number];

/** @param ranges without surrogates */
export const utf8Ranges = (
  ranges: ReadonlyArray<readonly [first: number, last: number]>,
): ReadonlyArray<ReadonlyArray<ByteRange>> => ranges.flatMap(([first, last]) => split(first, last));

const split = (first: number, last: number): ReadonlyArray<ReadonlyArray<ByteRange>> => {
  const border = lastOfLength.find((each) => first <= each && each < last);
  if (border !== undefined) return [...split(first, border), ...split(border + 1, last)];
  if (last < 0x80) return [[[first, last]]];
  // From the last byte on: values that differ in an earlier byte must allow every value of the later ones.
  for (let bits = 6; bits <= 18; bits += 6) {
    const below = (1 << bits) - 1;
    if ((first & ~below) === (last & ~below)) break;
    if ((first & below) !== 0) return [...split(first, first | below), ...split((first | below) + 1, last)];
    if ((last & below) !== below) return [...split(first, (last & ~below) - 1), ...split(last & ~below, last)];
  }
  const [from, to] = [first, last].map((codePoint) => encoder.encode(String.fromCodePoint(codePoint)));
  return [Array.from(from ?? [], (byte, place) => [byte, to?.[place] ?? byte] as const)];
};

const lastOfLength = [0x7f, 0x7ff, 0xffff];
const encoder = new TextEncoder();
