import { clearLine, cursorTo } from "node:readline";
import { formatDuration } from "./format.ts";
import { cutToColumns, showOnOneLine } from "./terminal-text.ts";

const { stderr } = process;
const usualColumns = 80;

/** A line at the bottom of the terminal that shows a command's progress; nothing if there is no terminal. */
export class StatusLine implements Disposable {
  #shown = false;

  /** Replaces the text of the line. */
  show(text: string): void {
    if (!stderr.isTTY) return;
    cursorTo(stderr, 0);
    // A longer text would wrap to the next line and stay there. Some terminals do not report their width.
    stderr.write(cutToColumns(showOnOneLine(text), (stderr.columns || usualColumns) - 1));
    clearLine(stderr, 1);
    this.#shown = true;
  }

  /** Clears the line for other output. */
  clear(): void {
    if (!this.#shown) return;
    cursorTo(stderr, 0);
    clearLine(stderr, 1);
    this.#shown = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}

const refreshMs = 200;

/** Shows a description and the elapsed time until the work is done. */
export const withElapsed = async <T>(text: string, work: Promise<T>): Promise<T> => {
  using line = new StatusLine();
  const began = performance.now();
  const show = (): void => line.show(`${text} ... ${formatDuration(performance.now() - began)}`);
  show();
  const timer = setInterval(show, refreshMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
};
