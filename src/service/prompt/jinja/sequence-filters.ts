/** Jinja's filters for lists, dicts and other iterable values. */
import type { Filter } from "./arguments.ts";
import { attributeOf, itemOf } from "./members.ts";
import { calculate } from "./operators.ts";
import { repr, str } from "./python-text.ts";
import { passes } from "./tests.ts";
import {
  compare,
  equal,
  isDict,
  itemsOf,
  orElse,
  TemplateError,
  truth,
  Tuple,
  Undefined,
  type Value,
  View,
} from "./values.ts";

export const generator = (items: ReadonlyArray<Value>): View => new View("generator", items);

/** The value at a path of names and indexes, e.g. `function.name` or `0`. */
export const member = (value: Value, path: Value): Value => {
  if (typeof path === "bigint") return itemOf(value, path);
  return str(path)
    .split(".")
    .reduce<Value>((found, part) => {
      if (found instanceof Undefined) throw new TemplateError(found.problem);
      return /^\d+$/.test(part) ? itemOf(found, BigInt(part)) : memberOf(found, part);
    }, value);
};

/** Jinja looks up the attribute argument of a filter as an item. */
const memberOf = (value: Value, name: string): Value =>
  isDict(value) ? itemOf(value, name) : attributeOf(value, name);

const foldCase = (value: Value): Value => (typeof value === "string" ? value.toLowerCase() : value);

/** The key by which items are sorted and grouped. */
const keyOf = (attribute: Value | undefined, caseSensitive: boolean): ((item: Value) => Value) => {
  const fold = caseSensitive ? (value: Value) => value : foldCase;
  if (attribute === undefined || attribute === null) return fold;
  const paths = typeof attribute === "string" ? attribute.split(",") : [attribute];
  if (paths.length === 1) return (item) => fold(member(item, paths[0] ?? null));
  return (item) => new Tuple(paths.map((path) => fold(member(item, path))));
};

const sorted = (items: ReadonlyArray<Value>, key: (item: Value) => Value, reverse: boolean): ReadonlyArray<Value> => {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  const ordered = keyed.toSorted((a, b) => (reverse ? compare(b.key, a.key) : compare(a.key, b.key)));
  return ordered.map(({ item }) => item);
};

/** `select` and its three relatives. Undefined and None yield nothing. */
const chosen =
  (keeps: boolean, byAttribute: boolean): Filter =>
  (value, _, { positional }) => {
    if (!truth(value)) return generator([]);
    const [attribute, rest] = byAttribute ? [positional[0], positional.slice(1)] : [undefined, positional];
    const [test, argument] = rest;
    return generator(
      itemsOf(value).filter((item) => {
        const looked = attribute === undefined ? item : member(item, attribute);
        return (test === undefined ? truth(looked) : passes(str(test), looked, argument)) === keeps;
      }),
    );
  };

const extreme =
  (sign: 1 | -1): Filter =>
  (value, given) => {
    const key = keyOf(given.get(1, "attribute"), given.flag(0, "case_sensitive"));
    const [first, ...rest] = itemsOf(value);
    if (first === undefined) return new Undefined("No aggregated item, sequence was empty.");
    return rest.reduce((best, item) => (compare(key(item), key(best)) * sign > 0 ? item : best), first);
  };

const joined: Filter = (value, given) => {
  const attribute = given.get(1, "attribute");
  const items = itemsOf(value);
  return items
    .map((item) => str(attribute === undefined || attribute === null ? item : member(item, attribute)))
    .join(str(given.get(0, "d") ?? ""));
};

const sortedDict: Filter = (value, given) => {
  if (!isDict(value)) throw new TemplateError("dictsort: the value is no mapping");
  const by = (given.optionalText(1, "by") ?? "key") === "key" ? 0 : 1;
  const fold = keyOf(undefined, given.flag(0, "case_sensitive"));
  const pairs = [...value].map(([key, of]) => new Tuple([key, of]));
  return sorted(pairs, (pair) => fold((pair as Tuple).items[by] ?? null), given.flag(2, "reverse"));
};

const unique: Filter = (value, given) => {
  const key = keyOf(given.get(1, "attribute"), given.flag(0, "case_sensitive"));
  const seen = new Set<string>();
  return generator(
    itemsOf(value).filter((item) => {
      const written = repr(key(item));
      if (seen.has(written)) return false;
      seen.add(written);
      return true;
    }),
  );
};

const grouped: Filter = (value, given) => {
  const attribute = given.needed(0, "attribute");
  const fallback = given.get(1, "default");
  const plain = keyOf(attribute, given.flag(2, "case_sensitive"));
  const key = (item: Value): Value => {
    const found = plain(item);
    return found instanceof Undefined && fallback !== undefined ? fallback : found;
  };
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(itemsOf(value), key, false)) {
    const last = groups.at(-1);
    if (last !== undefined && equal(last.key, key(item))) last.items.push(item);
    else groups.push({ key: key(item), items: [item] });
  }
  return groups.map((group) => new Tuple([group.key, group.items]));
};

const batched: Filter = (value, given) => {
  const size = given.count(0, "linecount", 1);
  const fill = given.get(1, "fill_with");
  const items = itemsOf(value);
  const rows: ReadonlyArray<Value>[] = [];
  for (let at = 0; at < items.length; at += Math.max(1, size)) {
    const row = items.slice(at, at + Math.max(1, size));
    rows.push(fill === undefined || fill === null ? row : [...row, ...Array<Value>(size - row.length).fill(fill)]);
  }
  return generator(rows);
};

const reversed: Filter = (value) => {
  if (typeof value === "string") return [...value].toReversed().join("");
  return generator(itemsOf(value).toReversed());
};

const first = (items: ReadonlyArray<Value>): Value =>
  orElse(items[0], () => new Undefined("No first item, sequence was empty."));

export const sequenceFilters: Readonly<Record<string, Filter>> = {
  attr: (value, given) => attributeOf(value, given.text(0, "name")),
  batch: batched,
  dictsort: sortedDict,
  first: (value) => first(itemsOf(value)),
  groupby: grouped,
  join: joined,
  last: (value) => first(itemsOf(value).toReversed()),
  list: (value) => [...itemsOf(value)],
  max: extreme(1),
  min: extreme(-1),
  reject: chosen(false, false),
  rejectattr: chosen(false, true),
  reverse: reversed,
  select: chosen(true, false),
  selectattr: chosen(true, true),
  sort: (value, given) =>
    sorted(itemsOf(value), keyOf(given.get(2, "attribute"), given.flag(1, "case_sensitive")), given.flag(0, "reverse")),
  sum: (value, given) => {
    const attribute = given.get(0, "attribute");
    const items = itemsOf(value);
    return items.reduce<Value>(
      (total, item) =>
        calculate("+", total, attribute === undefined || attribute === null ? item : member(item, attribute)),
      given.get(1, "start") ?? 0n,
    );
  },
  unique,
};
