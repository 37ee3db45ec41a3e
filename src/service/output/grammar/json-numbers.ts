/** Grammars of numbers within bounds, as decimal text. */
import type { GrammarExpression } from "../../domain/grammar.ts";
import { chars, choice, GrammarRefused, optional, repeat, rule, sequence, text } from "./expressions.ts";
import { digit } from "./json-text.ts";

type Schema = Readonly<Record<string, unknown>>;

export const integerBetween = (schema: Schema, where: string): GrammarExpression => {
  const [min, max] = [lowest(schema, where), highest(schema, where)];
  if (min === undefined && max === undefined) return rule("integer");
  const [from, to] = [min === undefined ? undefined : Math.ceil(min), max === undefined ? undefined : Math.floor(max)];
  return signed(from, to, where, naturals);
};

/** For non-integers the bounds have to be whole numbers, inclusive. */
export const numberBetween = (schema: Schema, where: string): GrammarExpression => {
  for (const keyword of ["exclusiveMinimum", "exclusiveMaximum"]) {
    if (schema[keyword] !== undefined) {
      throw new GrammarRefused("it is supported for the type integer only", `${where}/${keyword}`);
    }
  }
  const bounds = ["minimum", "maximum"].map((keyword) => {
    const value = numeric(schema, keyword, where);
    if (value !== undefined && !Number.isInteger(value)) {
      throw new GrammarRefused("for numbers it must be whole", `${where}/${keyword}`);
    }
    return value;
  });
  const [min, max] = bounds;
  if (min === undefined && max === undefined) return rule("number");
  return signed(min, max, where, decimals);
};

type Unsigned = (min: number, max: number | undefined) => GrammarExpression;

const signed = (
  min: number | undefined,
  max: number | undefined,
  where: string,
  unsigned: Unsigned,
): GrammarExpression => {
  if (min !== undefined && max !== undefined && max < min) throw new GrammarRefused("no number is in its range", where);
  for (const bound of [min, max]) {
    if (bound !== undefined && !Number.isSafeInteger(bound)) throw new GrammarRefused("its bound is too large", where);
  }
  const options: GrammarExpression[] = [];
  if (max === undefined || max >= 0) options.push(unsigned(Math.max(0, min ?? 0), max));
  if (min === undefined || min < 0) {
    const negative = unsigned(max === undefined || max >= 0 ? 0 : -max, min === undefined ? undefined : -min);
    options.push(sequence(text("-"), negative));
  }
  return choice(...options);
};

const naturals: Unsigned = (min, max) => {
  if (max === undefined) {
    if (min === 0) return choice(text("0"), sequence(chars([[0x31, 0x39]]), repeat(digit, 0)));
    const width = String(min).length;
    const longer = sequence(chars([[0x31, 0x39]]), repeat(digit, width));
    return choice(sameWidth(String(min), "9".repeat(width)), longer);
  }
  const options: GrammarExpression[] = [];
  for (let width = String(min).length; width <= String(max).length; width++) {
    const least = width === 1 ? 0 : 10 ** (width - 1);
    const from = Math.max(min, least);
    const to = Math.min(max, 10 ** width - 1);
    options.push(sameWidth(String(from), String(to)));
  }
  return choice(...options);
};

const decimals: Unsigned = (min, max) => {
  const fraction = optional(sequence(text("."), repeat(digit, 1)));
  if (max === undefined) return sequence(naturals(min, undefined), fraction);
  const most = sequence(text(String(max)), optional(sequence(text("."), repeat(text("0"), 1))));
  return min === max ? most : choice(sequence(naturals(min, max - 1), fraction), most);
};

/** Both bounds have the same number of digits. */
const sameWidth = (from: string, to: string): GrammarExpression => {
  const [low = "", ...lowRest] = from;
  const [high = "", ...highRest] = to;
  const [a, b] = [lowRest.join(""), highRest.join("")];
  if (a === "") return range(low, high);
  if (low === high) return sequence(text(low), sameWidth(a, b));
  const [zeros, nines] = ["0".repeat(a.length), "9".repeat(a.length)];
  const options: GrammarExpression[] = [];
  const lowIsWhole = a === zeros;
  const highIsWhole = b === nines;
  if (!lowIsWhole) options.push(sequence(text(low), sameWidth(a, nines)));
  const first = lowIsWhole ? Number(low) : Number(low) + 1;
  const last = highIsWhole ? Number(high) : Number(high) - 1;
  if (first <= last) options.push(sequence(range(String(first), String(last)), repeat(digit, a.length, a.length)));
  if (!highIsWhole) options.push(sequence(text(high), sameWidth(zeros, b)));
  return choice(...options);
};

const range = (low: string, high: string): GrammarExpression =>
  low === high ? text(low) : chars([[low.codePointAt(0) ?? 0, high.codePointAt(0) ?? 0]]);

const lowest = (schema: Schema, where: string): number | undefined => {
  const [minimum, exclusive] = [numeric(schema, "minimum", where), numeric(schema, "exclusiveMinimum", where)];
  const bounds = [minimum, exclusive === undefined ? undefined : Math.floor(exclusive) + 1];
  const given = bounds.filter((bound) => bound !== undefined);
  return given.length === 0 ? undefined : Math.max(...given);
};

const highest = (schema: Schema, where: string): number | undefined => {
  const [maximum, exclusive] = [numeric(schema, "maximum", where), numeric(schema, "exclusiveMaximum", where)];
  const bounds = [maximum, exclusive === undefined ? undefined : Math.ceil(exclusive) - 1];
  const given = bounds.filter((bound) => bound !== undefined);
  return given.length === 0 ? undefined : Math.min(...given);
};

const numeric = (schema: Schema, keyword: string, where: string): number | undefined => {
  const value = schema[keyword];
  if (value === undefined || typeof value === "number") return value;
  throw new GrammarRefused("it is no number", `${where}/${keyword}`);
};
