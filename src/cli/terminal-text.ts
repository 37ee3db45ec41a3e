/** Makes text safe for a terminal. */
import stringWidth from "string-width";

/**
 * Characters that a terminal interprets or that change the direction of text: control characters (C0, DEL and C1) other
 * than tab and line feed, and bidirectional embeddings, overrides and isolates.
 */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const controls = /\r(?!\n)|[\0-\b\v\f\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

const escaped = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/**
 * Shows control characters instead of sending them: ESC as `\u001b`. The text is chosen by a model and by whatever it
 * has read, and must not set the terminal's title, write its clipboard or hide what follows. JSON stays equivalent,
 * because it contains these characters in strings only.
 */
export const showControls = (text: string): string => text.replaceAll(controls, escaped);

/** The same on one line: line breaks and tabs are shown, too. */
export const showOnOneLine = (text: string): string => showControls(text).replaceAll(/[\t\r\n]/g, escaped);

/** The number of columns that a text takes: two for most Korean, Chinese and Japanese characters and for emoji. */
export const columnsOf = (text: string): number => stringWidth(text);

/** A text padded with spaces to this many columns. */
export const padColumns = (text: string, columns: number): string =>
  text + " ".repeat(Math.max(0, columns - columnsOf(text)));

const characters = new Intl.Segmenter();

/** The beginning of a text that fits in these columns, in whole characters. */
export const cutToColumns = (text: string, columns: number): string => {
  let cut = "";
  let taken = 0;
  for (const { segment } of characters.segment(text)) {
    taken += columnsOf(segment);
    if (taken > columns) break;
    cut += segment;
  }
  return cut;
};
