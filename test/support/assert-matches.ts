import { assert } from "vitest";

/**
 * Asserts that a value has all that the pattern has: of objects the pattern's members, of lists every item, of texts what a
 * regular expression asks for.
 */
export const assertMatches = (actual: unknown, pattern: unknown, message?: string): void =>
  assert.deepStrictEqual(asFarAs(pattern, actual), pattern, message);

/** The part of the value that the pattern speaks of. */
const asFarAs = (pattern: unknown, actual: unknown): unknown => {
  if (pattern instanceof RegExp) return typeof actual === "string" && pattern.test(actual) ? pattern : actual;
  if (Array.isArray(pattern)) {
    if (!Array.isArray(actual) || actual.length !== pattern.length) return actual;
    return pattern.map((item, place) => asFarAs(item, actual[place]));
  }
  if (!isPlain(pattern) || typeof actual !== "object" || actual === null) return actual;
  const values = actual as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.entries(pattern).map(([key, value]) => [key, asFarAs(value, values[key])]));
};

const isPlain = (value: unknown): value is object =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
