/**
 * Parses JSON text without losing information: integers keep all digits, floats stay floats, members keep their order.
 */
import type { Value } from "./values.ts";

/** Undefined if the text is not JSON or is nested too deep. */
export const parseExactJson = (text: string): Value | undefined => {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  try {
    return new Reader(text).read(0);
  } catch (cause) {
    if (cause instanceof TooDeep) return undefined;
    throw cause;
  }
};

class TooDeep extends Error {}

/** A little deeper than the arguments of a call may be nested. */
const deepest = 200;

/** Reads text that is known to be valid JSON. */
class Reader {
  private readonly text: string;
  private at = 0;

  constructor(text: string) {
    this.text = text;
  }

  read(depth: number): Value {
    if (depth > deepest) throw new TooDeep();
    this.skipSpace();
    switch (this.text[this.at]) {
      case "{":
        return this.members(depth);
      case "[":
        return this.items(depth);
      case '"':
        return this.string();
      default:
        return this.word();
    }
  }

  private members(depth: number): Value {
    const members = new Map<Value, Value>();
    this.at += 1;
    for (;;) {
      this.skipSpace();
      if (this.text[this.at] === "}") break;
      if (this.text[this.at] === ",") {
        this.at += 1;
        continue;
      }
      const key = this.string();
      this.skipSpace();
      this.at += 1; // skips the colon
      members.set(key, this.read(depth + 1));
    }
    this.at += 1;
    return members;
  }

  private items(depth: number): Value {
    const items: Value[] = [];
    this.at += 1;
    for (;;) {
      this.skipSpace();
      if (this.text[this.at] === "]") break;
      if (this.text[this.at] === ",") this.at += 1;
      else items.push(this.read(depth + 1));
    }
    this.at += 1;
    return items;
  }

  private string(): string {
    const start = this.at;
    this.at += 1;
    while (this.text[this.at] !== '"') this.at += this.text[this.at] === "\\" ? 2 : 1;
    this.at += 1;
    return String(JSON.parse(this.text.slice(start, this.at)));
  }

  private word(): Value {
    const rest = /[^\s,\]}]*/y;
    rest.lastIndex = this.at;
    const word = rest.exec(this.text)?.[0] ?? "";
    this.at += word.length;
    if (word === "null") return null;
    if (word === "true" || word === "false") return word === "true";
    return /^-?\d+$/.test(word) && word.length <= longestWhole ? BigInt(word) : Number(word);
  }

  private skipSpace(): void {
    while (/[ \t\n\r]/.test(this.text[this.at] ?? "")) this.at += 1;
  }
}

/** Python, too, reads no more digits. */
const longestWhole = 4300;

/** Converts a decoded JSON value. A whole number becomes an int: JavaScript has lost how it was written. */
export const valueOf = (json: unknown): Value => {
  if (json === null || typeof json === "string" || typeof json === "boolean") return json;
  if (typeof json === "number") return Number.isInteger(json) && Math.abs(json) < 1e21 ? BigInt(json) : json;
  if (Array.isArray(json)) return json.map(valueOf);
  if (typeof json !== "object") return null;
  return new Map(Object.entries(json).map(([key, member]) => [key, valueOf(member)]));
};
