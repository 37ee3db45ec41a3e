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
  const repeated: string[] = [];
  let unrolled = mostUnrolled;
  const write = (of: GrammarExpression): string => {
    switch (of.type) {
      case "text":
        return `"${Array.from(of.text, (character) => escape(character.codePointAt(0) ?? 0)).join("")}"`;
      case "chars":
        return charsOf(of.ranges);
      case "sequence":
        return of.parts.length === 0 ? '""' : `(${of.parts.map(write).join(" ")})`;
      case "choice":
        return `(${of.options.map(write).join(" | ")})`;
      case "repeat": {
        if (isCounted(of)) {
          const fewest = { ...of, min: Math.min(of.min, longestToken) };
          return `(${write({ ...fewest, max: fewest.min })} (${write(of.of)})*)`;
        }
        const times = timesOf(of.min, of.max);
        if (of.max === of.min && of.max <= 1) return of.max === 0 ? '""' : write(of.of);
        if (!times.startsWith("{")) return `(${write(of.of)})${times}`;
        const parts = of.max ?? of.min + 1;
        if (parts <= unrolled) {
          unrolled -= parts;
          return `(${write(of.of)})${times}`;
        }
        // A rule of its own, and one that is not put in its place: what is repeated 200 times would be compiled as often.
        const place = repeated.push("") - 1;
        repeated[place] = `n${place} ::= (${write(of.of)} ""?)`;
        return `n${place}${times}`;
      }
      case "rule":
        return nameOf(of.name);
    }
  };
  const written = Object.entries(rules).map(([name, of]) => `${nameOf(name)} ::= ${write(of)}`);
  return [`root ::= ${nameOf(root)}`, ...written, ...repeated].join("\n");
};

/** Repetitions that are written out: it makes masks within them fast, and compiling slow. */
const mostUnrolled = 48;

/** Bytes that a token has at most which is chosen under a constraint: the few longer ones are left out. */
export const longestToken = 32;

/**
 * Whether it is left to the automaton of endings to count a repetition: xgrammar takes up to seconds for a mask within one
 * that has a high bound. Here it has none, and as no token goes over the bound that begins far from it, only near it is it
 * looked at.
 */
export const isCounted = ({ min, max }: Extract<GrammarExpression, { type: "repeat" }>): boolean =>
  min > longestToken || (max !== undefined && max - min > longestToken);

const charsOf = (ranges: Extract<GrammarExpression, { type: "chars" }>["ranges"]): string => {
  const sequences = utf8Ranges(ranges);
  const ascii = sequences.filter((bytes) => bytes.length === 1).flat();
  const others = sequences.filter((bytes) => bytes.length > 1).map((bytes) => bytes.map(setOf).join(" "));
  return `(${[...(ascii.length > 0 ? [`[${ascii.map(rangeOf).join("")}]`] : []), ...others].join(" | ")})`;
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
