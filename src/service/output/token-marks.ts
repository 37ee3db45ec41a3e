/**
 * Distinguishes a special token from the same characters in ordinary tokens: a special token's text is preceded by half
 * of a surrogate pair. Ordinary text never contains that, as it is decoded from UTF-8.
 */

/** The form in which a marker is searched for. */
export type Mark = (marker: string) => string;

export const tokenUnit = "\uDC00";

export const asToken: Mark = (marker) => tokenUnit + marker;

/** For markers that act wherever they occur. */
export const asText: Mark = (marker) => marker;

/** @param tokens markers that are special tokens, and act only as such */
export const markOf =
  (tokens: ReadonlySet<string>): Mark =>
  (marker) =>
    tokens.has(marker) ? asToken(marker) : marker;

/** The text without marks, whatever its tokens are. */
export const unmarked = (text: string): string => (text.includes(tokenUnit) ? text.replaceAll(tokenUnit, "") : text);
