/** Finds markers in text that comes in pieces. */

interface Scan {
  /** What comes before the marker; without one, all that cannot become the beginning of one. */
  readonly text: string;
  readonly marker: string | undefined;
  /** The marker as it stands in the text; empty where there is none. */
  readonly written: string;
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
 *
 * @param invisible a unit that may stand anywhere within a marker's text, unless the marker itself begins with it
 */
export const createMarkerScanner = (markers: ReadonlyArray<string>, invisible?: string): MarkerScanner => {
  const searches = markers
    .filter((marker) => marker !== "")
    .toSorted((a, b) => b.length - a.length)
    .map((marker) => ({
      marker,
      fallbacks: prefixFunction(marker),
      /** Invisible units that are a part of it. */
      own: invisible !== undefined && marker.startsWith(invisible) ? 1 : 0,
      progress: 0,
    }));
  let pending = "";

  /** Where so many visible units begin that end at `end`, with the invisible ones among and right before them. */
  const startOf = (visible: number, end: number): number => {
    if (invisible === undefined) return end - visible;
    let start = end;
    for (let left = visible; left > 0 || pending[start - 1] === invisible;) {
      start -= 1;
      if (pending[start] !== invisible) left -= 1;
    }
    return start;
  };
  const found = (at: number, { marker, own }: (typeof searches)[number]): Scan => {
    const start = startOf(marker.length - own, at);
    const text = pending.slice(0, start);
    const written = pending.slice(start, at);
    const rest = pending.slice(at);
    pending = "";
    for (const search of searches) search.progress = 0;
    return { text, marker, written, rest };
  };

  return {
    scan: (text) => {
      const from = pending.length;
      pending += text;
      let held = 0;
      for (let at = from; at < pending.length; at++) {
        const isInvisible = invisible !== undefined && pending[at] === invisible;
        held = 0;
        for (const search of searches) {
          const { marker, own } = search;
          if (!isInvisible || own > 0) {
            search.progress = advance(marker, search.fallbacks, search.progress, pending[at]);
          }
          if (search.progress === marker.length) return found(at + 1, search);
          held = Math.max(held, search.progress - own);
        }
      }
      if (text === "") return { text: "", marker: undefined, written: "", rest: "" };
      const ready = pending.slice(0, startOf(held, pending.length));
      pending = pending.slice(ready.length);
      return { text: ready, marker: undefined, written: "", rest: "" };
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
