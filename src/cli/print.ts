/**
 * Everything that is written to standard output and standard error. On a terminal, control characters are shown instead
 * of sent; into a pipe or a file, text is written as it is. Styles are only used on terminals, and not if NO_COLOR is
 * set.
 */
import { styleText } from "node:util";
import { columnsOf, padColumns, showControls, showOnOneLine } from "./terminal-text.ts";

/** Prints text as it arrives, without a line break. */
export const write = (text: string, stream: NodeJS.WriteStream = process.stdout): void =>
  void stream.write(stream.isTTY ? showControls(text) : text);

/** The same, styled. */
export const writeStyled = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): void =>
  void stream.write(styled(style, stream.isTTY ? showControls(text) : text, stream));

/** Prints a line of the result. */
export const print = (line: string): void => write(`${line}\n`);

/** Prints the whole result, for scripts. */
export const printJson = (value: unknown): void => print(JSON.stringify(value, undefined, 2));

/** Prints a note for the user that is not part of the result. */
export const note = (text: string): void => write(`mlxd: ${text}\n`, process.stderr);

type Style = "bold" | "dim";

/** Styles the command's own text, for standard output or, with `process.stderr`, for standard error. */
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

/** Prints names and values, one pair per line. */
export const printPairs = (pairs: ReadonlyArray<readonly [name: string, value: string]>): void => {
  const width = Math.max(...pairs.map(([name]) => columnsOf(name)));
  for (const [name, value] of pairs) print(`${padColumns(name, width)}  ${cell(value)}`.trimEnd());
};

/** Keeps a value on its line, so that a model's name cannot look like two models. */
const cell = (text: string): string => (process.stdout.isTTY ? showOnOneLine(text) : text);
