/**
 * The values of a template, which follow Python: an int is a bigint and a float a number, so that both are written as
 * they were read; None is null; a dict is a Map, which keeps the order of its members.
 */

export type Value =
  | null
  | boolean
  | bigint
  | number
  | string
  | ReadonlyArray<Value>
  | ReadonlyMap<Value, Value>
  | Tuple
  | View
  | Undefined
  | Namespace
  | Helper
  | Callable;

/** An error in a template; the message is for its author. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

export class Tuple {
  readonly items: ReadonlyArray<Value>;

  constructor(items: ReadonlyArray<Value>) {
    this.items = items;
  }
}

/** An iterable that is not a list: `dict.items()`, `range(3)`, the results of `map` and `select`. */
export class View {
  readonly kind: "dict_items" | "dict_keys" | "dict_values" | "generator" | "range";
  readonly items: ReadonlyArray<Value>;

  constructor(kind: View["kind"], items: ReadonlyArray<Value>) {
    this.kind = kind;
    this.items = items;
  }
}

/** A missing name or member. It can be written (as an empty text), tested and iterated, and nothing else. */
export class Undefined {
  /** For example `'x' is undefined`. */
  readonly problem: string;

  constructor(problem: string) {
    this.problem = problem;
  }
}

export class Namespace {
  readonly members: Map<string, Value>;

  constructor(members: Map<string, Value>) {
    this.members = members;
  }
}

/** A value with attributes but without members: the variable `loop`, a cycler. */
export class Helper {
  readonly attribute: (name: string) => Value | undefined;
  /** Set for a recursive loop. */
  readonly call: ((items: Value) => Value) | undefined;

  constructor(attribute: Helper["attribute"], call: Helper["call"]) {
    this.attribute = attribute;
    this.call = call;
  }
}

export interface Arguments {
  readonly positional: ReadonlyArray<Value>;
  readonly named: ReadonlyMap<string, Value>;
}

export class Callable {
  readonly name: string;
  readonly call: (args: Arguments) => Value;
  readonly attributes: ReadonlyMap<string, Value>;

  constructor(name: string, call: Callable["call"], attributes: ReadonlyMap<string, Value> = new Map()) {
    this.name = name;
    this.call = call;
    this.attributes = attributes;
  }
}

/** None is a value: only undefined is replaced. */
export const orElse = (value: Value | undefined, otherwise: () => Value): Value =>
  value === undefined ? otherwise() : value;

export const isList = (value: Value): value is ReadonlyArray<Value> => Array.isArray(value);
export const isDict = (value: Value): value is ReadonlyMap<Value, Value> => value instanceof Map;
export const isNumber = (value: Value): value is bigint | number | boolean =>
  typeof value === "bigint" || typeof value === "number" || typeof value === "boolean";

export const truth = (value: Value): boolean => {
  if (value === null || value instanceof Undefined) return false;
  if (typeof value === "object") {
    if (isDict(value)) return value.size > 0;
    if (isList(value)) return value.length > 0;
    if (value instanceof Tuple) return value.items.length > 0;
    return value instanceof View ? value.kind === "generator" || value.items.length > 0 : true;
  }
  return typeof value === "number" ? value !== 0 : Boolean(value);
};

/** The items that a `for` loop iterates over. */
export const itemsOf = (value: Value): ReadonlyArray<Value> => {
  if (typeof value === "string") return [...value];
  if (isList(value)) return value;
  if (isDict(value)) return [...value.keys()];
  if (value instanceof Tuple || value instanceof View) return value.items;
  if (value instanceof Undefined) return [];
  throw new TemplateError(`'${typeName(value)}' object is not iterable`);
};

export const lengthOf = (value: Value): number => {
  if (isDict(value)) return value.size;
  const isUncounted = value instanceof View && value.kind === "generator";
  if (isUncounted || !isIterable(value)) throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
  return itemsOf(value).length;
};

export const isIterable = (value: Value): boolean =>
  typeof value === "string" ||
  isList(value) ||
  isDict(value) ||
  value instanceof Tuple ||
  value instanceof View ||
  value instanceof Undefined;

export const equal = (a: Value, b: Value): boolean => {
  // True equals 1, and 1 equals 1.0.
  if (isNumber(a) && isNumber(b)) return compare(a, b) === 0 && !Number.isNaN(a) && !Number.isNaN(b);
  if (a instanceof Undefined) return b instanceof Undefined;
  if (isList(a) && isList(b)) return alike(a, b);
  if (a instanceof Tuple && b instanceof Tuple) return alike(a.items, b.items);
  if (isDict(a) && isDict(b)) {
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && equal(value, b.get(key) ?? null));
  }
  return a === b;
};

const alike = (a: ReadonlyArray<Value>, b: ReadonlyArray<Value>): boolean =>
  a.length === b.length && a.every((item, index) => equal(item, b[index] ?? null));

const comparable = (value: bigint | number | boolean): bigint | number =>
  typeof value === "boolean" ? BigInt(value) : value;

/** Negative, 0 or positive, in the order of Python's `<`. */
export const compare = (a: Value, b: Value): number => {
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [comparable(a), comparable(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (typeof a === "string" && typeof b === "string") return compareTexts(a, b);
  const [first, second] = [sequenceOf(a), sequenceOf(b)];
  if (first !== undefined && second !== undefined && isList(a) === isList(b)) {
    for (const [index, item] of first.entries()) {
      const other = second[index];
      if (other === undefined) return 1;
      if (!equal(item, other)) return compare(item, other);
    }
    return first.length - second.length;
  }
  for (const each of [a, b]) if (each instanceof Undefined) throw new TemplateError(each.problem);
  throw new TemplateError(`'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
};

const sequenceOf = (value: Value): ReadonlyArray<Value> | undefined =>
  isList(value) ? value : value instanceof Tuple ? value.items : undefined;

/** By code points; JavaScript compares UTF-16 units, which gives another order. */
export const compareTexts = (a: string, b: string): number => {
  const [first, second] = [a[Symbol.iterator](), b[Symbol.iterator]()];
  for (;;) {
    const [x, y] = [first.next(), second.next()];
    if (x.done === true || y.done === true) return Number(y.done ?? false) - Number(x.done ?? false);
    if (x.value !== y.value) return (x.value.codePointAt(0) ?? 0) - (y.value.codePointAt(0) ?? 0);
  }
};

export const typeName = (value: Value): string => {
  if (value === null) return "NoneType";
  switch (typeof value) {
    case "boolean":
      return "bool";
    case "bigint":
      return "int";
    case "number":
      return "float";
    case "string":
      return "str";
    default:
      if (isList(value)) return "list";
      if (isDict(value)) return "dict";
      if (value instanceof Tuple) return "tuple";
      if (value instanceof View) return value.kind;
      if (value instanceof Undefined) return "Undefined";
      if (value instanceof Namespace) return "Namespace";
      return value instanceof Helper ? "helper" : "function";
  }
};
