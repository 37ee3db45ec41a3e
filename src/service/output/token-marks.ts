/**
 * How markers that are special tokens are told from the same characters in ordinary tokens: in front of a special token's
 * text stands a unit that no text has, half of a surrogate pair. Ordinary text is decoded from UTF-8, which cannot hold it.
 */

/** A marker as it is looked for. */
export type Mark = (marker: string) => string;

export const tokenUnit = "\uDC00";

export const asToken: Mark = (marker) => tokenUnit + marker;

/** For markers that act wherever they stand. */
export const asText: Mark = (marker) => marker;

/** @param tokens markers that are special tokens, and act as these alone */
export const markOf =
  (tokens: ReadonlySet<string>): Mark =>
  (marker) =>
    tokens.has(marker) ? asToken(marker) : marker;

/** The text as it is spelled, whatever its tokens are. */
export const unmarked = (text: string): string => (text.includes(tokenUnit) ? text.replaceAll(tokenUnit, "") : text);
