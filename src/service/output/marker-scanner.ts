/** Finds markers in text that comes in pieces. */

interface Scan {
  /** What comes before the marker; without one, all that cannot become the beginning of one. */
  readonly text: string;
  readonly marker: string | undefined;
  /** What follows the marker, unread. */
  readonly rest: string;
}

export interface MarkerScanner {
  /** Reads up to the first marker. Call it again with the rest. `text` is in whole code points. */
  readonly scan: (text: string) => Scan;
  /** The text held back, which has become no marker. */
  readonly flush: () => string;
}

/**
 * The marker that is complete first is found; of those that end at the same place the longest, so that no part of one
 * stays before it. It is what reading one code point at a time gives, so the cuts do not matter.
 */
export const createMarkerScanner = (markers: ReadonlyArray<string>): MarkerScanner => {
  const searches = markers
    .filter((marker) => marker !== "")
    .toSorted((a, b) => b.length - a.length)
    .map((marker) => ({ marker, fallbacks: prefixFunction(marker), progress: 0 }));
  let pending = "";

  const found = (at: number, marker: string): Scan => {
    const text = pending.slice(0, at - marker.length);
    const rest = pending.slice(at);
    pending = "";
    for (const search of searches) search.progress = 0;
    return { text, marker, rest };
  };

  return {
    scan: (text) => {
      const from = pending.length;
      pending += text;
      let held = 0;
      for (let at = from; at < pending.length; at++) {
        held = 0;
        for (const search of searches) {
          search.progress = advance(search.marker, search.fallbacks, search.progress, pending[at]);
          if (search.progress === search.marker.length) return found(at + 1, search.marker);
          held = Math.max(held, search.progress);
        }
      }
      if (text === "") return { text: "", marker: undefined, rest: "" };
      const ready = pending.slice(0, pending.length - held);
      pending = pending.slice(ready.length);
      return { text: ready, marker: undefined, rest: "" };
    },
    flush: () => {
      const rest = pending;
      pending = "";
      for (const search of searches) search.progress = 0;
      return rest;
    },
  };
};

/** Knuth, Morris, Pratt: how long a prefix of the marker the text ends with, after one more UTF-16 unit. */
const advance = (marker: string, fallbacks: ReadonlyArray<number>, progress: number, unit: string | undefined) => {
  let length = progress;
  while (length > 0 && marker[length] !== unit) length = fallbacks[length - 1] ?? 0;
  return marker[length] === unit ? length + 1 : 0;
};

/** For each prefix of the marker, the length of the longest other prefix that it ends with. */
const prefixFunction = (marker: string): ReadonlyArray<number> => {
  const lengths = [0];
  for (let at = 1; at < marker.length; at++) {
    lengths.push(advance(marker, lengths, lengths[at - 1] ?? 0, marker[at]));
  }
  return lengths;
};
