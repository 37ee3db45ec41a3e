/**
 * What goes to standard output and standard error, all of it through here: on a terminal control characters are shown
 * instead of sent, into a pipe or a file the text goes as it is. Styles are for terminals, and not where NO_COLOR is set.
 */
import { styleText } from "node:util";
import { columnsOf, padColumns, showControls, showOnOneLine } from "./terminal-text.ts";

/** Prints a text as it comes, without a line end. */
export const write = (text: string, stream: NodeJS.WriteStream = process.stdout): void =>
  void stream.write(stream.isTTY ? showControls(text) : text);

/** The same, styled. */
export const writeStyled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): void =>
  void stream.write(styled(style, stream.isTTY ? showControls(text) : text, stream));

/** Prints a line of the result. */
export const print = (line: string): void => write(`${line}\n`);

/** Prints the whole result for scripts. */
export const printJson = (value: unknown): void => print(JSON.stringify(value, undefined, 2));

/** Tells the user something that is not part of the result. */
export const note = (text: string): void => write(`mlxd: ${text}\n`, process.stderr);

type Style = "bold" | "dim";

/** A text of the command's own, styled for standard output, or with `process.stderr` for that. */
export const styled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream });

/** Prints rows in columns under a header. */
export const printTable = (header: readonly string[], rows: ReadonlyArray<readonly string[]>): void => {
  const cells = rows.map((row) => row.map(cell));
  const widths = header.map((title, column) =>
    Math.max(columnsOf(title), ...cells.map((row) => columnsOf(row[column] ?? ""))),
  );
  const line = (row: readonly string[]) =>
    row
      .map((text, column) => padColumns(text, widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  writeStyled("bold", line(header));
  write("\n");
  for (const row of cells) print(line(row));
};

/** Prints names and values, one pair in a line. */
export const printPairs = (pairs: ReadonlyArray<readonly [name: string, value: string]>): void => {
  const width = Math.max(...pairs.map(([name]) => columnsOf(name)));
  for (const [name, value] of pairs) print(`${padColumns(name, width)}  ${cell(value)}`.trimEnd());
};

/** A value stays on its line, so that a model's name cannot pass for two models. */
const cell = (text: string): string => (process.stdout.isTTY ? showOnOneLine(text) : text);
