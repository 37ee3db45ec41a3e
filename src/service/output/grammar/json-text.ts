/** The grammar of JSON's parts. White space is bounded, so that a model that writes nothing else comes to an end. */
import type { CodePointRange, GrammarExpression } from "../../domain/grammar.ts";
import { chars, choice, except, intersect, oneOf, optional, repeat, rule, sequence, text } from "./expressions.ts";
import { keysInOrder } from "./key-order.ts";

const hex = chars([...oneOf("abcdefABCDEF"), [0x30, 0x39]]);
export const digit = chars([[0x30, 0x39]]);

/** Characters that need no escape in a string. */
const plain: ReadonlyArray<CodePointRange> = except([[0, 0x1f], ...oneOf('"\\')]);

const low = chars([[0x30, 0x37]]);
const notSurrogate = chars([...oneOf("abcefABCEF"), [0x30, 0x39]]);

/**
 * A character of a string. It is a flat expression and not a rule, because masks are slow for repetitions that contain
 * rules. Escapes of surrogate halves are left out, as they are not characters.
 */
export const character = choice(
  chars(plain),
  sequence(text("\\"), chars(oneOf('"\\/bfnrt'))),
  sequence(text("\\u"), notSurrogate, hex, hex, hex),
  sequence(text("\\u"), chars(oneOf("dD")), low, hex, hex),
);

/** Rules that the expressions below refer to. */
export const jsonRules: Readonly<Record<string, GrammarExpression>> = {
  // A space, or a line break with indentation.
  ws: optional(choice(text(" "), sequence(text("\n"), repeat(chars(oneOf(" \t")), 0, 16)))),
  string: sequence(text('"'), repeat(character, 0), text('"')),
  number: sequence(
    optional(text("-")),
    choice(text("0"), sequence(chars([[0x31, 0x39]]), repeat(digit, 0))),
    optional(sequence(text("."), repeat(digit, 1))),
    optional(sequence(chars(oneOf("eE")), optional(chars(oneOf("+-"))), repeat(digit, 1, 2))),
  ),
  integer: sequence(optional(text("-")), choice(text("0"), sequence(chars([[0x31, 0x39]]), repeat(digit, 0)))),
  boolean: choice(text("true"), text("false")),
  value: choice(rule("string"), rule("number"), rule("boolean"), text("null"), rule("array"), rule("object")),
  array: sequence(
    text("["),
    rule("ws"),
    optional(sequence(rule("value"), repeat(sequence(rule("comma"), rule("value")), 0), rule("ws"))),
    text("]"),
  ),
  object: sequence(
    text("{"),
    rule("ws"),
    optional(sequence(rule("member"), repeat(sequence(rule("comma"), rule("member")), 0), rule("ws"))),
    text("}"),
  ),
  member: sequence(rule("string"), rule("colon"), rule("value")),
  comma: sequence(rule("ws"), text(","), rule("ws")),
  colon: sequence(rule("ws"), text(":"), rule("ws")),
};

/** A value as JSON, with white space wherever JSON allows it. */
export const jsonLiteral = (value: unknown): GrammarExpression => {
  if (Array.isArray(value)) return bracketed("[", value.map(jsonLiteral), "]");
  if (typeof value !== "object" || value === null) return text(JSON.stringify(value));
  const members = keysInOrder(value).map((key) =>
    sequence(text(JSON.stringify(key)), rule("colon"), jsonLiteral((value as Record<string, unknown>)[key])),
  );
  return bracketed("{", members, "}");
};

const bracketed = (open: string, parts: ReadonlyArray<GrammarExpression>, close: string): GrammarExpression =>
  sequence(
    text(open),
    rule("ws"),
    ...parts.flatMap((part, index) => (index === 0 ? [part] : [rule("comma"), part])),
    ...(parts.length === 0 ? [] : [rule("ws")]),
    text(close),
  );

/**
 * The texts of an expression as they are written within a JSON string. Control characters without a short escape are
 * left out.
 */
export const withinString = (of: GrammarExpression): GrammarExpression => {
  switch (of.type) {
    case "text":
      return text(JSON.stringify(of.text).slice(1, -1));
    case "chars": {
      const raw = intersect(of.ranges, plain);
      const escaped = shortEscapes.filter(([codePoint]) =>
        of.ranges.some(([first, last]) => first <= codePoint && codePoint <= last),
      );
      return choice(...(raw.length > 0 ? [chars(raw)] : []), ...escaped.map(([, written]) => text(written)));
    }
    case "sequence":
      return sequence(...of.parts.map(withinString));
    case "choice":
      return choice(...of.options.map(withinString));
    case "repeat":
      return repeat(withinString(of.of), of.min, of.max);
    case "rule":
      return of;
  }
};

const shortEscapes: ReadonlyArray<readonly [codePoint: number, written: string]> = Array.from(
  '"\\\b\f\n\r\t',
  (character) => [character.codePointAt(0) ?? 0, JSON.stringify(character).slice(1, -1)],
);
