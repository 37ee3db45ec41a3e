/** The order of an object's keys as they were written: JavaScript puts those that look like whole numbers first. */

const orders = new WeakMap<object, ReadonlyArray<string>>();

/** Decodes JSON and remembers the order of its keys. Throws SyntaxError. */
export const decodeOrderedJson = (source: string): unknown => {
  // For the error's place: the marks below would move it.
  JSON.parse(source);
  const marked = source.replace(/"(?:[^"\\]|\\.)*"(?=(\s*:)?)/gs, (text, colon: string | undefined) =>
    colon === undefined ? text : `"${mark}${text.slice(1)}`,
  );
  return unmarked(JSON.parse(marked));
};

export const keysInOrder = (object: object): ReadonlyArray<string> => orders.get(object) ?? Object.keys(object);

/** The object, with keys in this order. */
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
