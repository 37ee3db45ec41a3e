/** Keeps the last lines that a server writes, which usually say why it ended. */

export class LastLines {
  private text = "";

  add(text: string): void {
    this.text = (this.text + text).slice(-mostCharacters);
  }

  /** The lines for the operator, in order. */
  get lines(): ReadonlyArray<string> {
    return this.text
      .split(/[\r\n]+/)
      .map((line) => line.replaceAll(/\p{Cc}+/gu, " ").trim())
      .filter((line) => line !== "")
      .slice(-mostLines);
  }

  /** The most informative line, shortened, for the caller's error; empty if the server wrote nothing. */
  get telling(): string {
    const { lines } = this;
    const line = lines.findLast((each) => tellingPattern.test(each)) ?? lines.at(-1) ?? "";
    const points = [...line.toWellFormed()];
    return points.length > mostTold ? `${points.slice(0, mostTold).join("")}…` : points.join("");
  }
}

const mostCharacters = 8_000;
const mostLines = 20;
const mostTold = 200;

/** A traceback ends with its error, but warnings may follow at a program's end. */
const tellingPattern = /error|exception|cannot|failed|not found|no such/i;
