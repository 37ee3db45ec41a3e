/** Jinja's filters for texts, numbers and single values; sequence-filters.ts has those for sequences. */
import { type Filter, Given } from "./arguments.ts";
import { formatPercent } from "./format-text.ts";
import { capitalized, centered, replaced } from "./members.ts";
import { floatText, jsonText, spaces, splitLines, str, strip } from "./python-text.ts";
import { generator, member, sequenceFilters } from "./sequence-filters.ts";
import {
  type Arguments,
  itemsOf,
  isDict,
  isNumber,
  lengthOf,
  TemplateError,
  truth,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

export const applyFilter = (name: string, value: Value, args: Arguments): Value => {
  const filter = Object.hasOwn(filters, name) ? filters[name] : undefined;
  if (filter === undefined) throw new TemplateError(`No filter named '${name.slice(0, 40)}'.`);
  return filter(value, new Given(name, args), args);
};

const fallback: Filter = (value, given) => {
  const isMissing = value instanceof Undefined || (given.flag(1, "boolean") && !truth(value));
  return isMissing ? (given.get(0, "default_value") ?? "") : value;
};

/** Like the filter of transformers, which does not escape HTML. */
const toJson: Filter = (value, given) => {
  const indent = given.get(1, "indent") ?? null;
  const separators = given.get(2, "separators") ?? null;
  const [items, keys] = separatorsOf(separators) ?? [indent === null ? ", " : ",", ": "];
  return jsonText(value, {
    ensureAscii: given.flag(0, "ensure_ascii"),
    indent:
      indent === null
        ? undefined
        : typeof indent === "string"
          ? indent
          : " ".repeat(Math.max(0, given.count(1, "indent", 0))),
    itemSeparator: items ?? "",
    keySeparator: keys ?? "",
    sortKeys: given.flag(3, "sort_keys"),
  });
};

const separatorsOf = (value: Value): ReadonlyArray<string> | undefined => {
  if (value === null) return undefined;
  const pair = value instanceof Tuple ? value.items : Array.isArray(value) ? (value as ReadonlyArray<Value>) : [];
  if (pair.length !== 2) throw new TemplateError("separators must be two texts");
  return pair.map(str);
};

/** @param width a number of spaces, or the indentation itself */
const indented: Filter = (value, given) => {
  const width = given.get(0, "width") ?? 4n;
  const by = typeof width === "string" ? width : " ".repeat(given.count(0, "width", 4));
  if (typeof value !== "string") throw new TemplateError(`indent: expected str, not ${typeName(value)}`);
  const lines = splitLines(`${value}\n`);
  const blank = given.flag(2, "blank");
  const rest = lines.slice(1).map((line) => (blank || line !== "" ? by + line : line));
  return (given.flag(1, "first") ? by : "") + [lines[0] ?? "", ...rest].join("\n");
};

const toInteger: Filter = (value, given) => {
  const otherwise = given.get(0, "default") ?? 0n;
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  if (typeof value === "bigint") return value;
  if (isNumber(value)) return Number.isFinite(Number(value)) ? BigInt(Math.trunc(Number(value))) : otherwise;
  if (typeof value !== "string") return otherwise;
  const text = strip(value).replaceAll(/(?<=\d)_(?=\d)/g, "");
  const base = given.count(1, "base", 10);
  if (base === 10 && /^[-+]?\d{1,4300}$/.test(text)) return BigInt(text);
  if (base !== 10) {
    const parsed = Number.parseInt(text.replace(/^([-+]?)0[xob]/i, "$1"), base);
    return Number.isNaN(parsed) ? otherwise : BigInt(parsed);
  }
  const number = numberFrom(text);
  return number !== undefined && Number.isFinite(number) ? BigInt(Math.trunc(number)) : otherwise;
};

const toFloat: Filter = (value, given) => {
  const otherwise = given.get(0, "default") ?? 0;
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  if (isNumber(value)) return Number(value);
  return typeof value === "string" ? (numberFrom(strip(value)) ?? otherwise) : otherwise;
};

const numberFrom = (text: string): number | undefined =>
  /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i.test(text) ? Number(text) : undefined;

/** Python rounds halves to even. */
const rounded: Filter = (value, given) => {
  if (!isNumber(value)) throw new TemplateError(`a number is required, not ${typeName(value)}`);
  const precision = given.count(0, "precision", 0);
  const method = given.optionalText(1, "method") ?? "common";
  const scale = 10 ** precision;
  const scaled = Number(value) * scale;
  if (method === "ceil") return Math.ceil(scaled) / scale;
  if (method === "floor") return Math.floor(scaled) / scale;
  const near = Math.round(scaled);
  return (Math.abs(scaled % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near) / scale;
};

const titled: Filter = (value) =>
  str(value)
    .split(/([-\s({[<]+)/)
    .map((part) => capitalized(part))
    .join("");

const shortened: Filter = (value, given) => {
  if (typeof value !== "string") {
    if (value instanceof Undefined) return value;
    throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
  }
  const text = [...value];
  const length = given.count(0, "length", 255);
  const end = given.optionalText(2, "end") ?? "...";
  if (text.length <= length + given.count(3, "leeway", 5)) return text.join("");
  const cut = text.slice(0, Math.max(0, length - [...end].length)).join("");
  return (given.flag(1, "killwords") ? cut : cut.slice(0, Math.max(cut.lastIndexOf(" "), 0) || undefined)) + end;
};

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};
const escaped: Filter = (value) => str(value).replaceAll(/[&<>"']/g, (character) => escapes[character] ?? character);

const items: Filter = (value) => {
  if (value instanceof Undefined) return new View("generator", []);
  if (!isDict(value)) throw new TemplateError("Can only get item pairs from a mapping.");
  return new View(
    "generator",
    [...value].map(([key, member]) => new Tuple([key, member])),
  );
};

const length: Filter = (value) => BigInt(lengthOf(value));
const safe: Filter = (value) => str(value);

const mapped: Filter = (value, _, { positional, named }) => {
  if (!truth(value)) return generator([]);
  const attribute = named.get("attribute");
  if (attribute !== undefined) {
    const fallback = named.get("default");
    return generator(
      itemsOf(value).map((item) => {
        const found = member(item, attribute);
        return found instanceof Undefined && fallback !== undefined ? fallback : found;
      }),
    );
  }
  const [filter, ...rest] = positional;
  if (filter === undefined) throw new TemplateError("map requires a filter argument");
  const args: Arguments = { positional: rest, named };
  return generator(itemsOf(value).map((item) => applyFilter(str(filter), item, args)));
};

const filters: Readonly<Record<string, Filter>> = {
  ...sequenceFilters,
  abs: (value) => {
    if (typeof value === "bigint") return value < 0n ? -value : value;
    if (!isNumber(value)) throw new TemplateError(`bad operand type for abs(): '${typeName(value)}'`);
    return typeof value === "number" ? Math.abs(value) : BigInt(value);
  },
  capitalize: (value) => capitalized(str(value)),
  center: (value, given) => centered(str(value), given.count(0, "width", 80), " "),
  count: length,
  d: fallback,
  default: fallback,
  e: escaped,
  escape: escaped,
  forceescape: escaped,
  float: toFloat,
  format: (value, _, { positional, named }) =>
    formatPercent(str(value), named.size > 0 ? new Map<Value, Value>(named) : new Tuple(positional)),
  indent: indented,
  int: toInteger,
  items,
  length,
  lower: (value) => str(value).toLowerCase(),
  map: mapped,
  replace: (value, given) =>
    replaced(str(value), str(given.needed(0, "old")), str(given.needed(1, "new")), given.count(2, "count", -1)),
  round: rounded,
  safe,
  string: safe,
  striptags: (value) => strip(str(value).replaceAll(/<!--.*?-->|<[^>]*>/gs, "")).replaceAll(spaces, " "),
  title: titled,
  tojson: toJson,
  trim: (value, given) => strip(str(value), given.optionalText(0, "chars")),
  truncate: shortened,
  upper: (value) => str(value).toUpperCase(),
  urlencode: (value) => encodeURIComponent(str(value)).replaceAll("%2F", "/"),
  wordcount: (value) => BigInt(str(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0),
  filesizeformat: (value) => {
    const bytes = Number(isNumber(value) ? value : str(value));
    if (bytes < 1000) return `${bytes} Bytes`;
    const power = Math.min(4, Math.floor(Math.log10(bytes) / 3));
    return `${floatText(Math.round((bytes / 1000 ** power) * 10) / 10)} ${["", "k", "M", "G", "T"][power]}B`;
  },
};
