/**
 * A grammar in xgrammar's EBNF. Its sets of characters are right for ASCII only: beyond, a set is one of bytes, and a set of
 * one is a text. So other characters are written byte by byte, and a single byte as a set that has it twice.
 */
import type { Grammar, GrammarExpression } from "./protocol.ts";
import { type ByteRange, utf8Ranges } from "./utf8-ranges.ts";

export const grammarNotation = ({ root, rules }: Grammar): string => {
  const names = new Map(Object.keys(rules).map((name, index) => [name, `r${index}`]));
  const nameOf = (name: string): string => {
    const short = names.get(name);
    if (short === undefined) throw new RangeError(`there is no rule ${name}`);
    return short;
  };
  const written = Object.entries(rules).map(([name, of]) => `${nameOf(name)} ::= ${notationOf(of, nameOf)}`);
  return [`root ::= ${nameOf(root)}`, ...written].join("\n");
};

const notationOf = (of: GrammarExpression, nameOf: (rule: string) => string): string => {
  switch (of.type) {
    case "text":
      return `"${Array.from(of.text, (character) => escape(character.codePointAt(0) ?? 0)).join("")}"`;
    case "chars": {
      const sequences = utf8Ranges(of.ranges);
      const ascii = sequences.filter((bytes) => bytes.length === 1).flat();
      const others = sequences.filter((bytes) => bytes.length > 1).map((bytes) => bytes.map(setOf).join(" "));
      return `(${[...(ascii.length > 0 ? [`[${ascii.map(rangeOf).join("")}]`] : []), ...others].join(" | ")})`;
    }
    case "sequence":
      return of.parts.length === 0 ? '""' : `(${of.parts.map((part) => notationOf(part, nameOf)).join(" ")})`;
    case "choice":
      return `(${of.options.map((option) => notationOf(option, nameOf)).join(" | ")})`;
    case "repeat":
      return `(${notationOf(of.of, nameOf)})${timesOf(of.min, of.max)}`;
    case "rule":
      return nameOf(of.name);
  }
};

const rangeOf = ([first, last]: ByteRange): string =>
  first === last ? escape(first) : `${escape(first)}-${escape(last)}`;

const setOf = ([first, last]: ByteRange): string =>
  first === last ? `[${escape(first)}${escape(first)}]` : `[${rangeOf([first, last])}]`;

const timesOf = (min: number, max: number | undefined): string => {
  if (max !== undefined) return min === 0 && max === 1 ? "?" : `{${min},${max}}`;
  return min === 0 ? "*" : min === 1 ? "+" : `{${min},}`;
};

/** Letters and digits stand for themselves; all else by its code point. */
const escape = (codePoint: number): string =>
  /^[A-Za-z0-9]$/.test(String.fromCodePoint(codePoint))
    ? String.fromCodePoint(codePoint)
    : `\\U${codePoint.toString(16).padStart(8, "0")}`;
