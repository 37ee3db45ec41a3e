/** Grammars in GBNF, the EBNF of llama.cpp: `root ::= "yes" | [0-9]+`. */
import type { CodePointRange, Grammar, GrammarExpression } from "../../domain/grammar.ts";
import {
  chars,
  choice,
  except,
  GrammarRefused,
  lastCodePoint,
  nothing,
  oneOf,
  repeat,
  rule,
  sequence,
  text,
} from "./expressions.ts";

export const ebnfGrammar = (source: string): Grammar => {
  const rules = new EbnfParser(source).parse();
  if (!Object.hasOwn(rules, "root")) throw new GrammarRefused('there is no rule "root"');
  return { root: "root", rules };
};

const name = /[A-Za-z_][\w-]*/y;
const definition = /[A-Za-z_][\w-]*\s*::=/y;
const blank = /(?:\s|#[^\n]*)*/y;
const bounds = /\{\s*(\d+)\s*(,?)\s*(\d*)\s*\}/y;

class EbnfParser {
  private readonly source: string;
  private at = 0;
  private depth = 0;

  constructor(source: string) {
    this.source = source;
  }

  parse(): Record<string, GrammarExpression> {
    const rules: Record<string, GrammarExpression> = {};
    const used = new Map<string, number>();
    this.skipBlank();
    while (this.at < this.source.length) {
      const begins = this.at;
      const defined = this.match(name)?.[0] ?? this.refuse("a rule's name is expected");
      this.skipBlank();
      if (!this.source.startsWith("::=", this.at)) this.refuse('"::=" is expected');
      this.at += 3;
      if (Object.hasOwn(rules, defined)) this.refuse(`rule "${defined}" is there twice`, begins);
      rules[defined] = this.alternatives(used);
    }
    for (const [each, at] of used) {
      if (!Object.hasOwn(rules, each)) this.refuse(`rule "${each}" is not defined`, at);
    }
    return rules;
  }

  private alternatives(used: Map<string, number>): GrammarExpression {
    const options = [this.parts(used)];
    while (this.skip("|")) options.push(this.parts(used));
    return choice(...options);
  }

  private parts(used: Map<string, number>): GrammarExpression {
    const parts: GrammarExpression[] = [];
    for (;;) {
      this.skipBlank();
      definition.lastIndex = this.at;
      const next = this.source[this.at];
      if (next === undefined || next === "|" || next === ")" || definition.test(this.source)) break;
      parts.push(this.quantified(this.atom(used)));
    }
    return parts.length === 0 ? nothing : sequence(...parts);
  }

  private atom(used: Map<string, number>): GrammarExpression {
    if (this.skip("(")) {
      this.depth += 1;
      if (this.depth > deepest) this.refuse(`groups are nested more than ${deepest} deep`);
      const inner = this.alternatives(used);
      this.depth -= 1;
      if (!this.skip(")")) this.refuse('a "(" is not closed');
      return inner;
    }
    if (this.skip('"')) return text(String.fromCodePoint(...this.codePoints('"')));
    if (this.skip("[")) return chars(this.members());
    if (this.skip(".")) return chars([[0, lastCodePoint]]);
    const begins = this.at;
    const referred = this.match(name)?.[0] ?? this.refuse("a text, a set, a group or a rule is expected");
    if (!used.has(referred)) used.set(referred, begins);
    return rule(referred);
  }

  private quantified(of: GrammarExpression): GrammarExpression {
    if (this.skip("*")) return repeat(of, 0);
    if (this.skip("+")) return repeat(of, 1);
    if (this.skip("?")) return repeat(of, 0, 1);
    const found = this.match(bounds);
    if (found === undefined) return of;
    const [all, from, comma, to] = found;
    const min = Number(from);
    const max = comma === "" ? min : to === "" ? undefined : Number(to);
    if (max !== undefined && max < min) this.refuse(`${all} ends before it begins`);
    return repeat(of, min, max);
  }

  private members(): ReadonlyArray<CodePointRange> {
    const negated = this.skip("^");
    const ranges: CodePointRange[] = [];
    while (!this.ends("]")) {
      const first = this.codePoint();
      if (this.source[this.at] === "-" && this.source[this.at + 1] !== "]") {
        this.at += 1;
        const last = this.codePoint();
        if (last < first) this.refuse("a range in [] is out of order");
        ranges.push([first, last]);
      } else ranges.push([first, first]);
    }
    const members = negated ? except(ranges) : ranges;
    return members.length > 0 ? members : this.refuse("[] matches nothing");
  }

  private codePoints(closer: string): ReadonlyArray<number> {
    const read: number[] = [];
    while (!this.ends(closer)) read.push(this.codePoint());
    return read;
  }

  /** Does not skip white space, which is significant here. */
  private ends(closer: string): boolean {
    if (this.at >= this.source.length) this.refuse(`"${closer}" is missing`);
    if (this.source[this.at] !== closer) return false;
    this.at += 1;
    return true;
  }

  private codePoint(): number {
    const codePoint = this.source.codePointAt(this.at) ?? this.refuse("it ends too early");
    const character = String.fromCodePoint(codePoint);
    this.at += character.length;
    if (character !== "\\") return codePoint;
    const escaped = this.source[this.at] ?? this.refuse("it ends too early");
    this.at += 1;
    const digits = { x: 2, u: 4, U: 8 }[escaped];
    if (digits === undefined) {
      const control = { n: 10, r: 13, t: 9 }[escaped];
      if (control === undefined && /[A-Za-z0-9]/.test(escaped)) this.refuse(`\\${escaped} is no escape`);
      return control ?? oneOf(escaped)[0]?.[0] ?? 0;
    }
    const hex = this.source.slice(this.at, this.at + digits);
    const value = Number.parseInt(hex, 16);
    const isCharacter = value <= lastCodePoint && !(value >= 0xd800 && value <= 0xdfff);
    if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < digits || !isCharacter) this.refuse("an escape is no character");
    this.at += digits;
    return value;
  }

  private skip(character: string): boolean {
    if (character !== "^") this.skipBlank();
    if (this.source[this.at] !== character) return false;
    this.at += 1;
    return true;
  }

  private match(pattern: RegExp): RegExpExecArray | undefined {
    this.skipBlank();
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.source) ?? undefined;
    if (found !== undefined) this.at += found[0].length;
    return found;
  }

  private skipBlank(): void {
    blank.lastIndex = this.at;
    this.at += blank.exec(this.source)?.[0].length ?? 0;
  }

  private refuse(reason: string, at = this.at): never {
    const before = this.source.slice(0, at).split("\n");
    throw new GrammarRefused(`${reason} (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`);
  }
}

const deepest = 64;
