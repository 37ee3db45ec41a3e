/** The arguments of a call to a built-in, by position or by name. */
import { type Arguments, isDict, TemplateError, truth, typeName, Undefined, type Value } from "./values.ts";

export type Filter = (value: Value, given: Given, args: Arguments) => Value;

export class Given {
  private readonly what: string;
  private readonly args: Arguments;

  constructor(what: string, args: Arguments, most = Infinity) {
    this.what = what;
    this.args = args;
    if (args.positional.length > most) throw new TemplateError(`${what}() takes at most ${most} arguments`);
  }

  get(place: number, name: string): Value | undefined {
    return place < this.args.positional.length ? this.args.positional[place] : this.args.named.get(name);
  }

  needed(place: number, name: string): Value {
    const value = this.get(place, name);
    if (value === undefined) throw new TemplateError(`${this.what}() missing required argument '${name}'`);
    return value;
  }

  text(place: number, name: string): string {
    return this.asText(this.needed(place, name), name);
  }

  optionalText(place: number, name: string): string | undefined {
    const value = this.get(place, name);
    return value === undefined || value === null ? undefined : this.asText(value, name);
  }

  flag(place: number, name: string, fallback = false): boolean {
    const value = this.get(place, name);
    return value === undefined ? fallback : truth(value);
  }

  count(place: number, name: string, fallback: number): number {
    const value = this.get(place, name);
    if (value === undefined || value === null) return fallback;
    if (typeof value === "bigint" || typeof value === "boolean") return within(Number(value), this.what);
    throw new TemplateError(`${this.what}() argument '${name}' must be an integer, not ${typeName(value)}`);
  }

  private asText(value: Value, name: string): string {
    if (typeof value === "string") return value;
    throw new TemplateError(`${this.what}() argument '${name}' must be str, not ${typeName(value)}`);
  }
}

/** Bounds widths and counts: a billion would make a text that fills the memory. */
export const within = (count: number, what: string): number => {
  if (Math.abs(count) > mostCount) throw new TemplateError(`${what}: ${count} is more than ${mostCount}`);
  return count;
};

const mostCount = 1_000_000;

/** A dict built from another dict or from pairs, plus named arguments. */
export const dictOf = (given: Arguments): Map<Value, Value> => {
  const [from] = given.positional;
  const members = new Map<Value, Value>();
  if (from !== undefined && isDict(from)) for (const [key, value] of from) members.set(key, value);
  else if (Array.isArray(from)) {
    for (const pair of from as ReadonlyArray<Value>) {
      const [key, value] = Array.isArray(pair) ? (pair as ReadonlyArray<Value>) : pairOf(pair);
      members.set(key ?? null, value ?? null);
    }
  } else if (from !== undefined && !(from instanceof Undefined)) {
    throw new TemplateError(`'${typeName(from)}' object is not iterable`);
  }
  for (const [name, value] of given.named) members.set(name, value);
  return members;
};

const pairOf = (pair: Value): ReadonlyArray<Value> => {
  if (typeof pair === "object" && pair !== null && "items" in pair) return pair.items;
  throw new TemplateError("cannot convert dictionary update sequence element to a sequence");
};
