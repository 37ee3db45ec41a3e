/** Attributes, items and the methods of Python's types, as accessed by a dot or brackets. */
import { Given } from "./arguments.ts";
import { formatBraces } from "./format-text.ts";
import { sliced } from "./operators.ts";
import { isSpace, spaces, splitLines, str, strip, stripEnd, stripStart } from "./python-text.ts";
import {
  type Arguments,
  Callable,
  equal,
  isDict,
  isList,
  itemsOf,
  orElse,
  Helper,
  Namespace,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.ts";

/** `of.name`: an attribute of the type takes precedence over a member of that name, as in Jinja. */
export const attributeOf = (of: Value, name: string): Value => {
  if (of instanceof Undefined) throw new TemplateError(of.problem);
  const own = ownAttribute(of, name);
  if (own !== undefined) return own;
  if (isDict(of)) return orElse(of.get(name), () => missing(of, name));
  return missing(of, name);
};

/** `of[key]`: a member takes precedence over an attribute of that name. */
export const itemOf = (of: Value, key: Value): Value => {
  if (of instanceof Undefined) throw new TemplateError(of.problem);
  if (isDict(of)) return orElse(of.get(key), () => orElse(own(of, key), () => missing(of, key)));
  if (typeof key === "bigint" || typeof key === "boolean") {
    const items = indexable(of);
    const at = Number(key);
    return orElse(items?.[at < 0 ? items.length + at : at], () => missing(of, key));
  }
  return orElse(own(of, key), () => missing(of, key));
};

const own = (of: Value, key: Value): Value | undefined => (typeof key === "string" ? ownAttribute(of, key) : undefined);

export const slice = (of: Value, start: Value, stop: Value, step: Value): Value => {
  if (of instanceof Undefined) throw new TemplateError(of.problem);
  if (typeof of === "string") return sliced([...of], start, stop, step).join("");
  if (isList(of)) return sliced(of, start, stop, step);
  if (of instanceof Tuple) return new Tuple(sliced(of.items, start, stop, step));
  return missing(of, "slice");
};

const indexable = (of: Value): ReadonlyArray<Value> | undefined => {
  if (typeof of === "string") return [...of];
  if (isList(of)) return of;
  if (of instanceof Tuple) return of.items;
  return of instanceof View && of.kind === "range" ? of.items : undefined;
};

const missing = (of: Value, key: Value): Undefined => {
  const of_ = of === null ? "None" : `'${typeName(of)} object'`;
  return new Undefined(
    typeof key === "string" ? `${of_} has no attribute '${key.slice(0, 100)}'` : `${of_} has no element ${str(key)}`,
  );
};

const ownAttribute = (of: Value, name: string): Value | undefined => {
  if (of instanceof Namespace) return of.members.get(name);
  if (of instanceof Helper) return of.attribute(name);
  if (of instanceof Callable) return of.attributes.get(name);
  const bind = <T>(methods: Methods<T>, self: T): Value | undefined => {
    const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
    return method === undefined ? undefined : new Callable(name, (args) => method(self, new Given(name, args), args));
  };
  if (typeof of === "string") return bind(textMethods, of);
  if (isDict(of)) return bind(dictMethods, of);
  if (isList(of)) return bind(listMethods, of);
  return of instanceof Tuple ? bind(sequenceMethods, of.items) : undefined;
};

type Methods<T> = Readonly<Record<string, (self: T, given: Given, args: Arguments) => Value>>;

/** The environment of chat templates forbids methods that modify a value. */
const forbidden = (name: string) => (): never => {
  throw new TemplateError(`access to attribute '${name}' is unsafe: values cannot be changed`);
};

const dictMethods: Methods<ReadonlyMap<Value, Value>> = {
  items: (self) =>
    new View(
      "dict_items",
      [...self].map(([key, value]) => new Tuple([key, value])),
    ),
  keys: (self) => new View("dict_keys", [...self.keys()]),
  values: (self) => new View("dict_values", [...self.values()]),
  get: (self, given) => orElse(self.get(given.needed(0, "key")), () => given.get(1, "default") ?? null),
  copy: (self) => new Map(self),
  clear: forbidden("clear"),
  pop: forbidden("pop"),
  popitem: forbidden("popitem"),
  setdefault: forbidden("setdefault"),
  update: forbidden("update"),
};

const sequenceMethods: Methods<ReadonlyArray<Value>> = {
  count: (self, given) => BigInt(self.filter((item) => equal(item, given.needed(0, "value"))).length),
  index: (self, given) => {
    const at = self.findIndex((item) => equal(item, given.needed(0, "value")));
    if (at < 0) throw new TemplateError("the value is not in the list");
    return BigInt(at);
  },
};

const listMethods: Methods<ReadonlyArray<Value>> = {
  ...sequenceMethods,
  copy: (self) => [...self],
  append: forbidden("append"),
  clear: forbidden("clear"),
  extend: forbidden("extend"),
  insert: forbidden("insert"),
  pop: forbidden("pop"),
  remove: forbidden("remove"),
  reverse: forbidden("reverse"),
  sort: forbidden("sort"),
};

const textMethods: Methods<string> = {
  upper: (self) => self.toUpperCase(),
  lower: (self) => self.toLowerCase(),
  casefold: (self) => self.toLowerCase(),
  capitalize: (self) => capitalized(self),
  title: (self) => self.replaceAll(/\p{L}+/gu, capitalized),
  swapcase: (self) =>
    Array.from(self, (each) => (each === each.toUpperCase() ? each.toLowerCase() : each.toUpperCase())).join(""),
  strip: (self, given) => strip(self, given.optionalText(0, "chars")),
  lstrip: (self, given) => stripStart(self, given.optionalText(0, "chars")),
  rstrip: (self, given) => stripEnd(self, given.optionalText(0, "chars")),
  startswith: (self, given) => affixes(given.needed(0, "prefix")).some((prefix) => self.startsWith(prefix)),
  endswith: (self, given) => affixes(given.needed(0, "suffix")).some((suffix) => self.endsWith(suffix)),
  removeprefix: (self, given) => {
    const prefix = given.text(0, "prefix");
    return self.startsWith(prefix) ? self.slice(prefix.length) : self;
  },
  removesuffix: (self, given) => {
    const suffix = given.text(0, "suffix");
    return suffix !== "" && self.endsWith(suffix) ? self.slice(0, -suffix.length) : self;
  },
  split: (self, given) => split(self, given.optionalText(0, "sep"), given.count(1, "maxsplit", -1)),
  rsplit: (self, given) => rsplit(self, given.optionalText(0, "sep"), given.count(1, "maxsplit", -1)),
  splitlines: (self, given) => splitLines(self, given.flag(0, "keepends")),
  partition: (self, given) => {
    const separator = given.text(0, "sep");
    const at = self.indexOf(separator);
    const parts = at < 0 ? [self, "", ""] : [self.slice(0, at), separator, self.slice(at + separator.length)];
    return new Tuple(parts);
  },
  rpartition: (self, given) => {
    const separator = given.text(0, "sep");
    const at = self.lastIndexOf(separator);
    const parts = at < 0 ? ["", "", self] : [self.slice(0, at), separator, self.slice(at + separator.length)];
    return new Tuple(parts);
  },
  join: (self, given) => {
    const items = itemsOf(given.needed(0, "iterable"));
    const texts = items.map((item) => {
      if (typeof item === "string") return item;
      throw new TemplateError(`sequence item: expected str instance, ${typeName(item)} found`);
    });
    return texts.join(self);
  },
  replace: (self, given) => replaced(self, given.text(0, "old"), given.text(1, "new"), given.count(2, "count", -1)),
  count: (self, given) => BigInt(self.split(given.text(0, "sub")).length - 1),
  find: (self, given) => position(self, self.indexOf(given.text(0, "sub"))),
  rfind: (self, given) => position(self, self.lastIndexOf(given.text(0, "sub"))),
  index: (self, given) => found(position(self, self.indexOf(given.text(0, "sub")))),
  rindex: (self, given) => found(position(self, self.lastIndexOf(given.text(0, "sub")))),
  format: (self, _, { positional, named }) => formatBraces(self, positional, named),
  center: (self, given) => centered(self, given.count(0, "width", 0), given.optionalText(1, "fillchar") ?? " "),
  ljust: (self, given) => self + filler(self, given),
  rjust: (self, given) => filler(self, given) + self,
  zfill: (self, given) => {
    const sign = /^[-+]/.exec(self)?.[0] ?? "";
    return sign + self.slice(sign.length).padStart(given.count(0, "width", 0) - sign.length, "0");
  },
  isalpha: (self) => /^\p{L}+$/u.test(self),
  isdigit: (self) => /^\p{Nd}+$/u.test(self),
  isdecimal: (self) => /^\p{Nd}+$/u.test(self),
  isnumeric: (self) => /^\p{N}+$/u.test(self),
  isalnum: (self) => /^[\p{L}\p{N}]+$/u.test(self),
  isspace: (self) => self !== "" && [...self].every(isSpace),
  islower: (self) => self === self.toLowerCase() && self !== self.toUpperCase(),
  isupper: (self) => self === self.toUpperCase() && self !== self.toLowerCase(),
};

export const capitalized = (text: string): string => {
  const [first = "", ...rest] = text;
  return first.toUpperCase() + rest.join("").toLowerCase();
};

export const centered = (text: string, width: number, fill: string): string => {
  const room = Math.max(0, width - [...text].length);
  const left = Math.floor(room / 2) + (room & width & 1);
  return fill.repeat(left) + text + fill.repeat(room - left);
};

const filler = (self: string, given: Given): string =>
  (given.optionalText(1, "fillchar") ?? " ").repeat(Math.max(0, given.count(0, "width", 0) - [...self].length));

const affixes = (value: Value): ReadonlyArray<string> => {
  const all = value instanceof Tuple ? value.items : [value];
  return all.map((affix) => {
    if (typeof affix === "string") return affix;
    throw new TemplateError(`the argument must be str or a tuple of str, not ${typeName(affix)}`);
  });
};

/** In code points, as in Python; -1 stays -1. */
const position = (text: string, at: number): bigint => BigInt(at < 0 ? -1 : Array.from(text.slice(0, at)).length);

const found = (at: bigint): bigint => {
  if (at < 0n) throw new TemplateError("substring not found");
  return at;
};

export const replaced = (text: string, old: string, by: string, count: number): string => {
  if (count < 0) return text.replaceAll(old, () => by);
  const parts = old === "" ? ["", ...text] : text.split(old);
  return (
    parts.slice(0, count + 1).join(by) +
    parts
      .slice(count + 1)
      .map((part) => old + part)
      .join("")
  );
};

const split = (text: string, separator: string | undefined, most: number): Value => {
  if (separator === "") throw new TemplateError("empty separator");
  if (separator !== undefined) {
    const parts = text.split(separator);
    if (most < 0 || parts.length <= most + 1) return parts;
    return [...parts.slice(0, most), parts.slice(most).join(separator)];
  }
  const parts: string[] = [];
  let rest = stripStart(text);
  while (rest !== "") {
    spaces.lastIndex = 0;
    const gap = parts.length === most ? null : spaces.exec(rest);
    parts.push(gap === null ? rest : rest.slice(0, gap.index));
    rest = gap === null ? "" : rest.slice(gap.index + gap[0].length);
  }
  return parts;
};

const rsplit = (text: string, separator: string | undefined, most: number): Value => {
  if (most < 0) return split(text, separator, -1);
  const all = separator === undefined ? (split(text, undefined, -1) as ReadonlyArray<string>) : text.split(separator);
  if (all.length <= most + 1) return all;
  const kept = all.slice(all.length - most);
  const head = separator === undefined ? headBefore(text, most) : all.slice(0, all.length - most).join(separator);
  return [head, ...kept];
};

/** The text before the last words, with its white space unchanged. */
const headBefore = (text: string, words: number): string => {
  let head = stripEnd(text);
  for (let count = 0; count < words; count++) {
    let end = head.length;
    while (end > 0 && !isSpace(head[end - 1] ?? "")) end -= 1;
    head = stripEnd(head.slice(0, end));
  }
  return head;
};
