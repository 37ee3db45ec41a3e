/** The last lines of what a server writes: what it says of its end. */

export class LastLines {
  private text = "";

  add(text: string): void {
    this.text = (this.text + text).slice(-mostCharacters);
  }

  /** For the operator: some lines, the last of them last. */
  get lines(): ReadonlyArray<string> {
    return this.text
      .split(/[\r\n]+/)
      .map((line) => line.replaceAll(/\p{Cc}+/gu, " ").trim())
      .filter((line) => line !== "")
      .slice(-mostLines);
  }

  /** For whoever is told of the error: the line that says most, short. Empty where it wrote nothing. */
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

/** A traceback ends with its error, which warnings at a program's end may follow. */
const tellingPattern = /error|exception|cannot|failed|not found|no such/i;
