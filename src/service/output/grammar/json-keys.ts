/** Keys of an object beside those that it knows. */
import type { GrammarExpression } from "../../domain/grammar.ts";
import { chars, choice, except, oneOf, repeat, rule, sequence, text } from "./expressions.ts";

/** Without escapes, which could spell a known key in another way. */
export const keysExcept = (names: ReadonlyArray<string>): GrammarExpression => {
  if (names.length === 0) return rule("string");
  // Only names without escapes can be met without them.
  const known = names.filter((name) => JSON.stringify(name) === `"${name}"`);
  return sequence(text('"'), otherThan(known), text('"'));
};

const plain = except([[0, 0x1f], ...oneOf('"\\')]);
const anything = repeat(chars(plain), 0);

/** Texts that are none of the names. */
const otherThan = (names: ReadonlyArray<string>): GrammarExpression => {
  const byFirst = new Map<string, string[]>();
  for (const [first = "", ...rest] of names.filter((name) => name !== "").map((name) => Array.from(name))) {
    byFirst.set(first, [...(byFirst.get(first) ?? []), rest.join("")]);
  }
  const others = except([...except(plain), ...oneOf([...byFirst.keys()].join(""))]);
  return choice(
    ...(names.includes("") ? [] : [text("")]),
    sequence(chars(others), anything),
    ...[...byFirst].map(([first, rests]) => sequence(text(first), otherThan(rests))),
  );
};
