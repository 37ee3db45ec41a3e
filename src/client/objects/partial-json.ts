/** Parses the beginning of a JSON text. */

/** As for the client's arguments. Values that are nested deeper appear once the text is complete. */
const maxDepth = 256;

/** Stands for a value of which nothing has arrived. */
const nothing = Symbol("nothing");

/**
 * The value at the beginning of a JSON text, or undefined if there is none yet. Strings grow; numbers, `true`, `false`, `null`
 * and names of members appear once they are complete. If the text is not valid JSON, the value is what precedes the error.
 */
export const parsePartialJson = (text: string): unknown => {
  const value = new Reader(text).value(0);
  return value === nothing ? undefined : value;
};

class Reader {
  readonly #text: string;
  #at = 0;
  /** The text has ended or is invalid from here on: everything that is open is closed. */
  #over = false;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): unknown {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string().value;
      default:
        return this.#scalar();
    }
  }

  #object(depth: number): unknown {
    if (depth >= maxDepth) return this.#stop();
    const members: [string, unknown][] = [];
    this.#at++;
    while (!this.#over && !this.#skips("}")) {
      const key = members.length === 0 || this.#skips(",") ? this.#key() : undefined;
      const value = key === undefined ? this.#stop() : this.value(depth + 1);
      if (key !== undefined && value !== nothing) members.push([key, value]);
    }
    return Object.fromEntries(members); // handles a member `__proto__` as JSON.parse does
  }

  #key(): string | undefined {
    this.#skipSpace();
    if (this.#text[this.#at] !== '"') return undefined;
    const { value, isWhole } = this.#string();
    return isWhole && this.#skips(":") ? value : undefined;
  }

  #array(depth: number): unknown {
    if (depth >= maxDepth) return this.#stop();
    const items: unknown[] = [];
    this.#at++;
    while (!this.#over && !this.#skips("]")) {
      const value = items.length === 0 || this.#skips(",") ? this.value(depth + 1) : this.#stop();
      if (value !== nothing) items.push(value);
    }
    return items;
  }

  #string(): { readonly value: string; readonly isWhole: boolean } {
    const start = ++this.#at;
    let safeEnd = start; // excludes an incomplete escape, and the first half of a surrogate pair
    while (this.#at < this.#text.length && this.#text[this.#at] !== '"') {
      const isEscape = this.#text[this.#at] === "\\";
      const unit = this.#text.slice(this.#at, this.#at + (isEscape ? (this.#text[this.#at + 1] === "u" ? 6 : 2) : 1));
      this.#at += isEscape ? Math.max(unit.length, 2) : 1;
      if (isEscape && (unit.length < 2 || (unit[1] === "u" && unit.length < 6))) break;
      if (!/^\\ud[89ab]/i.test(unit)) safeEnd = this.#at;
    }
    const isWhole = this.#text[this.#at] === '"';
    const value = parse(`"${this.#text.slice(start, isWhole ? this.#at : safeEnd)}"`);
    this.#at++;
    if (!isWhole || typeof value !== "string") this.#over = true;
    return { value: typeof value === "string" ? value : "", isWhole };
  }

  /** A number, `true`, `false` or `null`, once another character follows it. */
  #scalar(): unknown {
    const [word = ""] = /^[^\s,:[\]{}"]*/.exec(this.#text.slice(this.#at, this.#at + 400)) ?? [];
    this.#at += word.length;
    if (this.#at >= this.#text.length && !["true", "false", "null"].includes(word)) return this.#stop();
    const value = parse(word);
    return value === undefined ? this.#stop() : value;
  }

  #stop(): unknown {
    this.#over = true;
    return nothing;
  }

  #skips(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? "")) this.#at++;
  }
}

const parse = (json: string): unknown => {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
};
