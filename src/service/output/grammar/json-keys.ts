/** Keys of an object other than the declared ones. */
import type { GrammarExpression } from "../../domain/grammar.ts";
import { chars, choice, except, oneOf, repeat, rule, sequence, text } from "./expressions.ts";

/** Keys without escapes, because an escape could spell a declared key in another way. */
export const keysExcept = (names: ReadonlyArray<string>): GrammarExpression => {
  if (names.length === 0) return rule("string");
  // Keys without escapes can only equal names that need none.
  const known = names.filter((name) => JSON.stringify(name) === `"${name}"`);
  return sequence(
    text('"'),
    otherThan(
      known.map((name) => Array.from(name)),
      0,
    ),
    text('"'),
  );
};

const plain = except([[0, 0x1f], ...oneOf('"\\')]);
const anything = repeat(chars(plain), 0);

/** Texts that differ from all of the names, which are equal before `place`. */
const otherThan = (names: ReadonlyArray<ReadonlyArray<string>>, place: number): GrammarExpression => {
  const byFirst = new Map<string, ReadonlyArray<string>[]>();
  for (const name of names) {
    const first = name[place];
    if (first === undefined) continue;
    const alike = byFirst.get(first);
    if (alike === undefined) byFirst.set(first, [name]);
    else alike.push(name);
  }
  const others = except([...except(plain), ...oneOf([...byFirst.keys()].join(""))]);
  return choice(
    ...(names.some((name) => name.length === place) ? [] : [text("")]),
    sequence(chars(others), anything),
    ...[...byFirst].map(([first, alike]) => sequence(text(first), otherThan(alike, place + 1))),
  );
};
