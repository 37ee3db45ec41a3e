/**
 * Converts regular expressions to grammars. Supports JavaScript's syntax without flags and without what is not regular:
 * back-references, look-around, word boundaries.
 */
import type { CodePointRange, GrammarExpression } from "../../domain/grammar.ts";
import { chars, choice, except, GrammarRefused, nothing, oneOf, repeat, sequence, text } from "./expressions.ts";

export interface RegexOptions {
  /**
   * Whether the expression may match part of a text, so that anything may surround it if `^` and `$` do not anchor it.
   */
  readonly partial: boolean;
}

export const regexGrammar = (pattern: string, { partial }: RegexOptions): GrammarExpression =>
  new RegexParser(pattern, partial).parse();

const anything = chars([[0, 0x10_ff_ff]]);
const lineEnds = oneOf("\n\r\u2028\u2029");
const digits: ReadonlyArray<CodePointRange> = [[0x30, 0x39]];
const word: ReadonlyArray<CodePointRange> = [...digits, [0x41, 0x5a], [0x61, 0x7a], ...oneOf("_")];
const space: ReadonlyArray<CodePointRange> = [
  [0x09, 0x0d],
  [0x2000, 0x200a],
  ...oneOf(" \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff"),
];
const classes: Readonly<Record<string, ReadonlyArray<CodePointRange>>> = {
  d: digits,
  w: word,
  s: space,
  D: except(digits),
  W: except(word),
  S: except(space),
};
const controls: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13, "0": 0 };

class RegexParser {
  private readonly characters: ReadonlyArray<string>;
  private readonly partial: boolean;
  private at = 0;
  private depth = 0;

  constructor(pattern: string, partial: boolean) {
    this.characters = Array.from(pattern);
    this.partial = partial;
  }

  parse(): GrammarExpression {
    const parsed = this.alternatives();
    if (this.at < this.characters.length) this.refuse('")" closes nothing');
    return parsed;
  }

  private alternatives(): GrammarExpression {
    const options = [this.alternative()];
    while (this.skip("|")) options.push(this.alternative());
    return choice(...options);
  }

  private alternative(): GrammarExpression {
    const parts: GrammarExpression[] = [];
    const isTop = this.depth === 0;
    const begins = isTop && this.skip("^");
    let ends = false;
    for (let next = this.peek(); next !== undefined && next !== "|" && next !== ")"; next = this.peek()) {
      if (isTop && next === "$" && [undefined, "|"].includes(this.characters[this.at + 1])) {
        this.at += 1;
        ends = true;
        break;
      }
      parts.push(this.quantified(this.atom()));
    }
    if (this.partial && isTop && !begins) parts.unshift(repeat(anything, 0));
    if (this.partial && isTop && !ends) parts.push(repeat(anything, 0));
    return parts.length === 0 ? nothing : sequence(...parts);
  }

  private atom(): GrammarExpression {
    const character = this.take();
    switch (character) {
      case "(":
        return this.group();
      case "[":
        return chars(this.members());
      case ".":
        return chars(except(lineEnds));
      case "\\":
        return this.escaped();
      case "^":
      case "$":
        return this.refuse(`"${character}" is supported at the beginning or the end of the whole expression only`);
      case "*":
      case "+":
      case "?":
        return this.refuse(`"${character}" repeats nothing`);
      case "{":
        this.at -= 1;
        if (this.bounds() !== null) this.refuse('"{...}" repeats nothing');
        this.at += 1;
        return text(character);
      default:
        return text(character);
    }
  }

  private group(): GrammarExpression {
    if (this.skip("?")) {
      if (this.skip("<")) {
        if (this.peek() === "=" || this.peek() === "!") this.refuse("look-behind is not supported");
        while (this.take() !== ">");
      } else if (!this.skip(":")) this.refuse("look-ahead and flags are not supported");
    }
    this.depth += 1;
    if (this.depth > deepest) this.refuse(`groups are nested more than ${deepest} deep`);
    const inner = this.alternatives();
    this.depth -= 1;
    if (!this.skip(")")) this.refuse('a "(" is not closed');
    return inner;
  }

  private quantified(of: GrammarExpression): GrammarExpression {
    let min: number;
    let max: number | undefined;
    if (this.skip("*")) min = 0;
    else if (this.skip("+")) min = 1;
    else if (this.skip("?")) [min, max] = [0, 1];
    else {
      const bounds = this.bounds();
      if (bounds === null) return of;
      const [all, from = "", comma, to = ""] = bounds;
      this.at += all.length;
      min = Number(from);
      max = comma === "" ? min : to === "" ? undefined : Number(to);
      if (max !== undefined && max < min) this.refuse(`${all} ends before it begins`);
    }
    // A lazy quantifier matches the same set of texts.
    this.skip("?");
    if (["*", "+", "?"].includes(this.peek() ?? "") || this.bounds() !== null) this.refuse("a repetition is repeated");
    return repeat(of, min, max);
  }

  private bounds(): RegExpExecArray | null {
    if (this.peek() !== "{") return null;
    return /^\{(\d+)(,?)(\d*)\}/.exec(this.characters.slice(this.at, this.at + 40).join(""));
  }

  private members(): ReadonlyArray<CodePointRange> {
    const negated = this.skip("^");
    const ranges: CodePointRange[] = [];
    while (!this.skip("]")) {
      const from = this.member();
      if (this.peek() !== "-" || this.characters[this.at + 1] === "]") {
        ranges.push(...from);
        continue;
      }
      this.at += 1;
      const to = this.member();
      const [first, last] = [single(from), single(to)];
      // Next to a class such as `\d`, a dash is literal.
      if (first === undefined || last === undefined) ranges.push(...from, ...oneOf("-"), ...to);
      else if (first <= last) ranges.push([first, last]);
      else this.refuse("a range in [] is out of order");
    }
    const members = negated ? except(ranges) : ranges;
    if (members.length === 0) this.refuse("[] matches nothing");
    return members;
  }

  private member(): ReadonlyArray<CodePointRange> {
    const character = this.take();
    if (character !== "\\") return oneOf(character);
    const next = this.peek() ?? "";
    const known = classes[next];
    if (known !== undefined) {
      this.at += 1;
      return known;
    }
    if (next === "b") {
      this.at += 1;
      return [[8, 8]];
    }
    const codePoint = this.codePoint();
    return [[codePoint, codePoint]];
  }

  private escaped(): GrammarExpression {
    const next = this.peek() ?? "";
    const known = classes[next];
    if (known !== undefined) {
      this.at += 1;
      return chars(known);
    }
    if (/[1-9k]/.test(next)) this.refuse("references to groups are not supported");
    if (/[bB]/.test(next)) this.refuse("word boundaries are not supported");
    if (/[pP]/.test(next)) this.refuse("Unicode properties are not supported");
    return text(String.fromCodePoint(this.codePoint()));
  }

  /** The code point that an escape stands for, read after the backslash. */
  private codePoint(): number {
    const character = this.take();
    const control = controls[character];
    if (control !== undefined) return control;
    if (character === "x") return this.hex(2);
    if (character === "c") return (this.take().codePointAt(0) ?? 0) % 32;
    if (character === "u") {
      if (!this.skip("{")) return this.hex(4);
      let digitsRead = "";
      for (let next = this.take(); next !== "}"; next = this.take()) digitsRead += next;
      return this.valid(Number.parseInt(digitsRead, 16));
    }
    if (/[A-Za-z]/.test(character)) this.refuse(`\\${character} is no escape`);
    return character.codePointAt(0) ?? 0;
  }

  private hex(count: number): number {
    const read = this.characters.slice(this.at, this.at + count).join("");
    if (!new RegExp(`^[0-9a-fA-F]{${count}}$`).test(read)) this.refuse("an escape lacks hexadecimal digits");
    this.at += count;
    return this.valid(Number.parseInt(read, 16));
  }

  private valid(codePoint: number): number {
    const isCharacter = codePoint >= 0 && codePoint <= 0x10_ff_ff && !(codePoint >= 0xd800 && codePoint <= 0xdfff);
    return isCharacter ? codePoint : this.refuse("an escape stands for no character");
  }

  private peek(): string | undefined {
    return this.characters[this.at];
  }

  private take(): string {
    const character = this.characters[this.at] ?? this.refuse("it ends too early");
    this.at += 1;
    return character;
  }

  private skip(character: string): boolean {
    if (this.peek() !== character) return false;
    this.at += 1;
    return true;
  }

  private refuse(reason: string): never {
    throw new GrammarRefused(`${reason} (at character ${this.at + 1})`);
  }
}

const single = (ranges: ReadonlyArray<CodePointRange>): number | undefined =>
  ranges.length === 1 && ranges[0]?.[0] === ranges[0]?.[1] ? ranges[0]?.[0] : undefined;

const deepest = 64;
