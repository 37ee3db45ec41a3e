/** Finds markers in text that arrives in pieces. */

interface Scan {
  /** The text before the marker. If there is no marker: all text that cannot become the beginning of one. */
  readonly text: string;
  readonly marker: string | undefined;
  /** The marker as it is written in the text; empty if there is none. */
  readonly written: string;
  /** The text after the marker, unread. */
  readonly rest: string;
}

export interface MarkerScanner {
  /** Reads up to the first marker; call it again with `rest`. `text` consists of whole code points. */
  readonly scan: (text: string) => Scan;
  /** The held-back text, which has not become a marker. */
  readonly flush: () => string;
}

/**
 * Finds the marker that is complete first; of several that end at the same place, the longest. The result is the same
 * as when reading one code point at a time, however the text is cut.
 *
 * @param invisible a unit that may occur anywhere within a marker's text, unless the marker itself begins with it
 */
export const createMarkerScanner = (markers: ReadonlyArray<string>, invisible?: string): MarkerScanner => {
  const searches = markers
    .filter((marker) => marker !== "")
    .toSorted((a, b) => b.length - a.length)
    .map((marker) => ({
      marker,
      fallbacks: prefixFunction(marker),
      /** How many of the marker's own units are invisible. */
      own: invisible !== undefined && marker.startsWith(invisible) ? 1 : 0,
      progress: 0,
    }));
  let pending = "";

  /**
   * Where the last `visible` visible units before `end` begin, including invisible units among and immediately before
   * them.
   */
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

/**
 * Knuth-Morris-Pratt: the length of the longest prefix of the marker that the text ends with, after one more UTF-16
 * unit.
 */
const advance = (marker: string, fallbacks: ReadonlyArray<number>, progress: number, unit: string | undefined) => {
  let length = progress;
  while (length > 0 && marker[length] !== unit) length = fallbacks[length - 1] ?? 0;
  return marker[length] === unit ? length + 1 : 0;
};

/** For each prefix of the marker: the length of its longest proper prefix that is also a suffix. */
const prefixFunction = (marker: string): ReadonlyArray<number> => {
  const lengths = [0];
  for (let at = 1; at < marker.length; at++) {
    lengths.push(advance(marker, lengths, lengths[at - 1] ?? 0, marker[at]));
  }
  return lengths;
};
