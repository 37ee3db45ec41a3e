/** What goes to standard output and standard error. Styles are for terminals, and not where NO_COLOR is set. */
import { styleText } from "node:util";

/** Prints a line of the result. */
export const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Prints the whole result for scripts. */
export const printJson = (value: unknown): void => print(JSON.stringify(value, undefined, 2));

/** Tells the user something that is not part of the result. */
export const note = (text: string): void => void process.stderr.write(`mlxd: ${text}\n`);

/** A styled text for standard output, or with `process.stderr` for that. */
export const styled = (style: "bold" | "dim", text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream });

/** Prints rows in columns under a header. */
export const printTable = (header: readonly string[], rows: ReadonlyArray<readonly string[]>): void => {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  print(styled("bold", line(header).trimEnd()));
  for (const row of rows) print(line(row).trimEnd());
};

/** Prints names and values, one pair in a line. */
export const printPairs = (pairs: ReadonlyArray<readonly [name: string, value: string]>): void => {
  const width = Math.max(...pairs.map(([name]) => name.length));
  for (const [name, value] of pairs) print(`${name.padEnd(width)}  ${value}`.trimEnd());
};
