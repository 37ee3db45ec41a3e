/**
 * Splits Jinja source into tokens, with the settings of chat templates: `trim_blocks`, `lstrip_blocks`, and no trailing
 * newline.
 */
import { isSpace, stripEnd } from "./python-text.ts";
import { TemplateError } from "./values.ts";

type TokenType =
  | "data"
  | "variable-begin"
  | "variable-end"
  | "block-begin"
  | "block-end"
  | "name"
  | "string"
  | "integer"
  | "float"
  | "operator"
  | "end";

export interface Token {
  readonly type: TokenType;
  readonly text: string;
  readonly line: number;
}

export const tokenize = (template: string): ReadonlyArray<Token> => new Lexer(template).run();

const whitespaceOnly = (text: string): boolean => [...text].every(isSpace);

class Lexer {
  private readonly source: string;
  private readonly tokens: Token[] = [];
  private at = 0;
  private line = 1;
  /** Whether the next text is at the beginning of a line. */
  private startsLine = true;

  constructor(template: string) {
    this.source = template.replaceAll(/\r\n?/g, "\n").replace(/\n$/, "");
  }

  run(): ReadonlyArray<Token> {
    const opens = /\{[{%#]/g;
    while (this.at < this.source.length) {
      opens.lastIndex = this.at;
      const found = opens.exec(this.source);
      if (found === null) {
        this.data(this.source.slice(this.at));
        break;
      }
      this.text(this.source.slice(this.at, found.index), found[0], this.source[found.index + 2] ?? "");
      this.line += countLines(this.source.slice(this.at, found.index));
      this.at = found.index + 2;
      if (/[-+]/.test(this.source[this.at] ?? "")) this.at += 1;
      if (found[0] === "{#") this.comment();
      else if (found[0] === "{{") this.expression("variable-begin", "variable-end", variableEnd);
      else if (!this.raw()) this.expression("block-begin", "block-end", blockEnd);
    }
    this.push("end", "");
    return this.tokens;
  }

  /** @param sign the character after the tag's opening, e.g. `-` */
  private text(text: string, open: string, sign: string): void {
    if (sign === "-") return this.data(stripEnd(text));
    const lineStart = text.lastIndexOf("\n") + 1;
    const strips = sign !== "+" && open !== "{{" && (lineStart > 0 || this.startsLine);
    this.data(strips && whitespaceOnly(text.slice(lineStart)) ? text.slice(0, lineStart) : text);
  }

  private data(text: string): void {
    if (text !== "") this.push("data", text);
  }

  private comment(): void {
    const end = /[-+]?#\}/g;
    end.lastIndex = this.at;
    const found = end.exec(this.source);
    if (found === null) throw this.fault("Missing end of comment tag");
    this.at = found.index;
    this.close(/-#\}\s*|\+#\}|#\}\n?/y);
  }

  /** The text between `{% raw %}` and `{% endraw %}`. */
  private raw(): boolean {
    const begin = /\s*raw\s*(?:-%\}\s*|\+?%\})/y;
    begin.lastIndex = this.at;
    const opened = begin.exec(this.source);
    if (opened === null) return false;
    const end = /\{%([-+]?)\s*endraw\s*(?:-%\}\s*|\+%\}|%\}\n?)/g;
    end.lastIndex = begin.lastIndex;
    const closed = end.exec(this.source);
    if (closed === null) throw this.fault("Missing end of raw directive");
    this.startsLine = false;
    this.text(this.source.slice(begin.lastIndex, closed.index), "{%", closed[1] ?? "");
    this.line += countLines(this.source.slice(this.at, end.lastIndex));
    this.at = end.lastIndex;
    this.startsLine = closed[0].endsWith("\n");
    return true;
  }

  private close(end: RegExp): boolean {
    end.lastIndex = this.at;
    const found = end.exec(this.source);
    if (found === null) return false;
    this.at = end.lastIndex;
    this.line += countLines(found[0]);
    this.startsLine = found[0].endsWith("\n");
    return true;
  }

  private expression(begin: TokenType, end: TokenType, closes: RegExp): void {
    this.push(begin, "");
    const open: string[] = [];
    for (;;) {
      this.skipSpace();
      if (this.at >= this.source.length) throw this.fault("unexpected end of template");
      if (open.length === 0 && this.close(closes)) {
        this.push(end, "");
        return;
      }
      const { type, length, text } = this.next();
      if (type === "operator") this.balance(text, open);
      this.push(type, text);
      this.line += countLines(this.source.slice(this.at, this.at + length));
      this.at += length;
    }
  }

  private balance(operator: string, open: string[]): void {
    const closing = brackets[operator];
    if (closing !== undefined) open.push(closing);
    else if (/[)\]}]/.test(operator) && open.pop() !== operator) throw this.fault(`unexpected '${operator}'`);
  }

  private next(): { readonly type: TokenType; readonly length: number; readonly text: string } {
    for (const [type, pattern] of patterns) {
      pattern.lastIndex = this.at;
      const [text] = pattern.exec(this.source) ?? [];
      if (text !== undefined) return { type, length: text.length, text: type === "string" ? unescape(text) : text };
    }
    throw this.fault(`unexpected char ${JSON.stringify(this.source[this.at])}`);
  }

  private skipSpace(): void {
    while (this.at < this.source.length && isSpace(this.source[this.at] ?? "")) {
      if (this.source[this.at] === "\n") this.line += 1;
      this.at += 1;
    }
  }

  private push(type: TokenType, text: string): void {
    this.tokens.push({ type, text, line: this.line });
  }

  private fault(problem: string): TemplateError {
    return new TemplateError(`${problem} (line ${this.line})`);
  }
}

const variableEnd = /-\}\}\s*|\}\}/y;
const blockEnd = /-%\}\s*|\+%\}|%\}\n?/y;

const brackets: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };

/** The first pattern that matches is used. */
const patterns: ReadonlyArray<readonly [TokenType, RegExp]> = [
  ["float", /(?<!\.)\d[\d_]*(?:(?:\.\d[\d_]*)?[eE][+-]?\d[\d_]*|\.\d[\d_]*)/y],
  ["integer", /0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0[xX](?:_?[\da-fA-F])+|[1-9](?:_?\d)*|0(?:_?0)*/y],
  ["name", /[\p{L}_][\p{L}\p{M}\p{N}_]*/uy],
  ["string", /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y],
  ["operator", /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y],
];

const countLines = (text: string): number => text.split("\n").length - 1;

/** Like Python's `unicode-escape`; invalid escapes stay as they are. */
const unescape = (literal: string): string =>
  literal
    .slice(1, -1)
    .replaceAll(
      /\\(?:\n|x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([abfnrtv\\'"]))/g,
      (_, hex: string, short: string, long: string, octal: string, letter: string) => {
        const code = hex ?? short ?? long;
        if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
        if (octal !== undefined) return String.fromCodePoint(Number.parseInt(octal, 8));
        return letter === undefined ? "" : (letters[letter] ?? letter);
      },
    );

const letters: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};
