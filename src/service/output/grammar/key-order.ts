/**
 * Preserves the order in which an object's keys were written; JavaScript moves keys that look like integers to the
 * front.
 */

const orders = new WeakMap<object, ReadonlyArray<string>>();

/** Decodes JSON and remembers the order of keys. Throws SyntaxError. */
export const decodeOrderedJson = (source: string): unknown => {
  // So that a syntax error has the right position; the marks below would shift it.
  JSON.parse(source);
  const marked = source.replace(/"(?:[^"\\]|\\.)*"(?=(\s*:)?)/gs, (text, colon: string | undefined) =>
    colon === undefined ? text : `"${mark}${text.slice(1)}`,
  );
  return unmarked(JSON.parse(marked));
};

export const keysInOrder = (object: object): ReadonlyArray<string> => orders.get(object) ?? Object.keys(object);

/** The object with its keys in this order. */
export const withKeyOrder = <T extends object>(object: T, keys: ReadonlyArray<string>): T => {
  if (keys.some(isIndex)) orders.set(object, keys);
  return object;
};

const unmarked = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(unmarked);
  const entries = Object.entries(value).map(([key, of]) => [key.slice(mark.length), unmarked(of)] as const);
  return withKeyOrder(
    Object.fromEntries(entries),
    entries.map(([key]) => key),
  );
};

const isIndex = (key: string): boolean => /^\d+$/.test(key);

const mark = "~";
