/**
 * Finds where a text stops being JSON. JSON.parse does not always give the position, accepts duplicate keys, and quotes
 * the input in its messages.
 */

export interface JsonFault {
  /** For example `task.chat.messages[0].role`; empty for the whole message. */
  readonly field: string;
  readonly description: string;
}

/** Deeper than any message of the API goes. */
const maxDepth = 128;

/** The first syntax error of a JSON text, duplicate keys included; undefined if there is none. */
export const scanJson = (text: string): JsonFault | undefined => {
  try {
    new Scanner(text).document();
    return undefined;
  } catch (error) {
    if (error instanceof JsonInvalid) return error.fault;
    throw error;
  }
};

class JsonInvalid extends Error {
  readonly fault: JsonFault;

  constructor(fault: JsonFault) {
    super();
    this.fault = fault;
  }
}

const space = /[ \t\n\r]*/y;
const escape = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y;
const quote = 0x22;
const backslash = 0x5c;
const primitive = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** https://www.rfc-editor.org/rfc/rfc8259 */
class Scanner {
  readonly #text: string;
  #at = 0;
  #depth = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): void {
    this.#value("");
    this.#take(space);
    if (this.#at < this.#text.length) this.#fail("there is something behind the end of the JSON");
  }

  #value(path: string): void {
    this.#take(space);
    const next = this.#text[this.#at];
    if (next === "{") this.#object(path);
    else if (next === "[") this.#array(path);
    else if (next === '"') this.#string();
    else if (this.#take(primitive) === undefined) this.#fail("a value is missing");
  }

  /**
   * Reads a string with its quotes. A loop, because a regular expression would keep a backtracking stack for long
   * texts.
   */
  #string(): string {
    const start = this.#at;
    for (let at = start + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === quote) {
        this.#at = at + 1;
        return this.#text.slice(start, this.#at);
      }
      if (code >= 0x20 && code !== backslash) continue;
      this.#at = at;
      if (code < 0x20) this.#fail("a text has a line end or control character, which must be escaped");
      const escaped = this.#take(escape);
      if (escaped === undefined) this.#fail("a text has a backslash that escapes nothing");
      at += escaped.length - 1;
    }
    this.#at = this.#text.length;
    return this.#fail("a text is not closed");
  }

  #object(path: string): void {
    const keys = new Set<string>();
    this.#items("}", () => {
      this.#take(space);
      if (this.#text[this.#at] !== '"') this.#fail("a name in quotes is missing");
      const key = JSON.parse(this.#string()) as string;
      const field = path === "" ? key : `${path}.${key}`;
      if (keys.has(key)) throw new JsonInvalid({ field: field.slice(0, 256), description: "it is there twice" });
      keys.add(key);
      this.#take(space);
      if (this.#text[this.#at] !== ":") this.#fail("a colon is missing");
      this.#at += 1;
      this.#value(field);
    });
  }

  #array(path: string): void {
    let index = 0;
    this.#items("]", () => this.#value(`${path}[${index++}]`));
  }

  #items(end: string, item: () => void): void {
    this.#depth += 1;
    if (this.#depth > maxDepth) this.#fail(`it is nested more than ${maxDepth} deep`);
    this.#at += 1;
    this.#take(space);
    if (this.#text[this.#at] !== end) {
      for (;;) {
        item();
        this.#take(space);
        if (this.#text[this.#at] === end) break;
        if (this.#text[this.#at] !== ",") this.#fail(`a comma or "${end}" is missing`);
        this.#at += 1;
        this.#take(space);
        if (this.#text[this.#at] === end) this.#fail(`there is a comma before "${end}"`);
      }
    }
    this.#at += 1;
    this.#depth -= 1;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #fail(what: string): never {
    const lines = this.#text.slice(0, this.#at).split("\n");
    const reason = this.#at >= this.#text.length ? "it ends too early" : what;
    const place = `line ${lines.length}, column ${(lines.at(-1)?.length ?? 0) + 1}`;
    throw new JsonInvalid({ field: "", description: `the request is not JSON: ${reason}, at ${place}` });
  }
}
