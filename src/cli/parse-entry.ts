import { CalledWrongly } from "./failures.ts";

type Entry = { [key: string]: unknown };

/**
 * The fields of an entry from `key=value` with the keys of mlxd.yaml, e.g. `base_url=http://attic/v1`, `permits=2`,
 * `aliases=["a","b"]` or `defaults.temperature=0.5`. A value that is JSON is that value, any other one is a text.
 */
export const entryFrom = (pairs: readonly string[]): Entry => {
  const entry: Entry = {};
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw new CalledWrongly(`"${pair}" is not key=value`);
    const path = pair.slice(0, at).split(".").map(camelCase);
    if (path.some((key) => !/^[A-Za-z][A-Za-z0-9]*$/.test(key) || key in Object.prototype)) {
      throw new CalledWrongly(`"${pair.slice(0, at)}" is no key`);
    }
    put(entry, path, valueOf(pair.slice(at + 1)), pair);
  }
  return entry;
};

const camelCase = (key: string): string =>
  key.replaceAll(/[_-]([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

const put = (entry: Entry, [key = "", ...rest]: readonly string[], value: unknown, pair: string): void => {
  const before = entry[key];
  if (rest.length === 0) {
    if (before !== undefined) throw new CalledWrongly(`"${pair}": this key is there twice`);
    entry[key] = value;
    return;
  }
  if (before !== undefined && (typeof before !== "object" || before === null || Array.isArray(before))) {
    throw new CalledWrongly(`"${pair}": this key is there twice`);
  }
  const inner = (before ?? {}) as Entry;
  entry[key] = inner;
  put(inner, rest, value, pair);
};

const valueOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};
