/**
 * Validates values against a JSON Schema (draft 2020-12) that `checkSchema` has accepted. Both are untrusted: the
 * schema comes from a caller, the value from a model, and this runs on the service's main thread. So results for a
 * schema and a value are cached, the work is counted, and regular expressions (`pattern`, `patternProperties`) are not
 * run.
 */
import { format as formats } from "@cfworker/json-schema";

import { isObject, type JsonObject } from "../json-object.ts";
import { createResolver, type Resolve } from "./references.ts";

/** The first violation, as a place in the value and a reason; undefined if the value is valid. */
export type Validate = (value: unknown) => string | undefined;

/** Validating the value would take more work than allowed. */
export class TooMuchWork extends Error {
  override readonly name = "TooMuchWork";
}

export const createValidator = (schema: JsonObject): Validate => {
  const resolve = createResolver(schema);
  return (value) => new Validation(resolve).apply(schema, value, "#").misfit;
};

/** The result of applying a schema to a value. */
interface Outcome {
  readonly misfit: string | undefined;
  /** The names and indexes that a schema has evaluated, for the `unevaluated` keywords; or `all`. */
  readonly evaluated: ReadonlySet<string | number> | "all";
}

/** About a tenth of a second. */
const mostWork = 200_000;

/** Nesting of schemas; the stack has room for several times as many. */
const deepest = 512;

const nothing: ReadonlySet<string | number> = new Set();
const fits: Outcome = { misfit: undefined, evaluated: nothing };

class Validation {
  private readonly resolve: Resolve;
  private readonly known = new Map<object, Map<string, Outcome>>();
  private work = 0;
  private depth = 0;

  constructor(resolve: Resolve) {
    this.resolve = resolve;
  }

  apply(schema: unknown, value: unknown, at: string): Outcome {
    if (schema === false) return { misfit: `${at}: nothing is allowed here`, evaluated: nothing };
    if (!isObject(schema)) return fits;
    const places = this.known.get(schema) ?? new Map<string, Outcome>();
    const known = places.get(at);
    if (known !== undefined) return known;
    this.spend(1);
    this.depth += 1;
    if (this.depth > deepest) throw new TooMuchWork("their schema nests too deep to check them");
    const outcome = this.applied(schema, value, at);
    this.depth -= 1;
    places.set(at, outcome);
    this.known.set(schema, places);
    return outcome;
  }

  private spend(work: number): void {
    this.work += work;
    if (this.work > mostWork) throw new TooMuchWork("checking them takes too long");
  }

  private applied(schema: JsonObject, value: unknown, at: string): Outcome {
    const misfit = this.misfitOfValue(schema, value);
    if (misfit !== undefined) return { misfit: `${at}: ${misfit}`, evaluated: nothing };
    const evaluated = new Set<string | number>();
    let all = false;
    const add = (outcome: Outcome): string | undefined => {
      if (outcome.misfit !== undefined) return outcome.misfit;
      if (outcome.evaluated === "all") all = true;
      else for (const each of outcome.evaluated) evaluated.add(each);
      return undefined;
    };
    const inPlace = this.inPlace(schema, value, at, add);
    if (inPlace !== undefined) return { misfit: inPlace, evaluated: nothing };
    const within = Array.isArray(value)
      ? this.items(schema, value, at, evaluated, () => all)
      : isObject(value)
        ? this.members(schema, value, at, evaluated, () => all)
        : undefined;
    if (within !== undefined) return { misfit: within, evaluated: nothing };
    const speaksOfAll =
      all ||
      hidesNames(schema, value) ||
      (Array.isArray(value) ? "unevaluatedItems" : "unevaluatedProperties") in schema;
    return { misfit: undefined, evaluated: speaksOfAll ? "all" : evaluated };
  }

  private inPlace(
    schema: JsonObject,
    value: unknown,
    at: string,
    add: (outcome: Outcome) => string | undefined,
  ): string | undefined {
    const { $ref, allOf, anyOf, oneOf, not, if: condition } = schema;
    if (typeof $ref === "string") {
      const misfit = add(this.apply(this.resolve($ref), value, at));
      if (misfit !== undefined) return misfit;
    }
    for (const each of listOf(allOf)) {
      const misfit = add(this.apply(each, value, at));
      if (misfit !== undefined) return misfit;
    }
    if (anyOf !== undefined) {
      const outcomes = listOf(anyOf).map((each) => this.apply(each, value, at));
      const fitting = outcomes.filter((outcome) => add(outcome) === undefined);
      if (fitting.length === 0) return outcomes.at(-1)?.misfit ?? `${at}: it fits none of anyOf`;
    }
    if (oneOf !== undefined) {
      const outcomes = listOf(oneOf).map((each) => this.apply(each, value, at));
      const fitting = outcomes.filter((outcome) => outcome.misfit === undefined);
      if (fitting.length === 0) return outcomes.at(-1)?.misfit ?? `${at}: it fits none of oneOf`;
      if (fitting.length > 1) return `${at}: it fits ${fitting.length} of oneOf`;
      for (const outcome of fitting) add(outcome);
    }
    if (not !== undefined && this.apply(not, value, at).misfit === undefined) return `${at}: it fits "not"`;
    if (condition !== undefined) {
      const isMet = add(this.apply(condition, value, at)) === undefined;
      const consequence = isMet ? schema["then"] : schema["else"];
      const misfit = consequence === undefined ? undefined : add(this.apply(consequence, value, at));
      if (misfit !== undefined) return misfit;
    }
    if (!isObject(value)) return undefined;
    for (const [name, dependent] of [...entriesOf(schema["dependentSchemas"]), ...entriesOf(schema["dependencies"])]) {
      if (Array.isArray(dependent) || !Object.hasOwn(value, name)) continue;
      const misfit = add(this.apply(dependent, value, at));
      if (misfit !== undefined) return misfit;
    }
    return undefined;
  }

  private items(
    schema: JsonObject,
    value: ReadonlyArray<unknown>,
    at: string,
    evaluated: Set<string | number>,
    all: () => boolean,
  ): string | undefined {
    // Before draft 2020-12, `items` had the meaning of `prefixItems`, and `additionalItems` that of `items`.
    const isOld = Array.isArray(schema["items"]);
    const first = listOf(isOld ? schema["items"] : schema["prefixItems"]);
    const rest = isOld ? schema["additionalItems"] : schema["items"];
    for (const [index, item] of value.entries()) {
      const of = index < first.length ? first[index] : rest;
      if (of === undefined) continue;
      const { misfit } = this.apply(of, item, `${at}/${index}`);
      if (misfit !== undefined) return misfit;
      evaluated.add(index);
    }
    if (schema["contains"] !== undefined) {
      const { minContains = 1, maxContains = Infinity } = schema;
      let count = 0;
      for (const [index, item] of value.entries()) {
        if (this.apply(schema["contains"], item, `${at}/${index}`).misfit !== undefined) continue;
        count += 1;
        evaluated.add(index);
      }
      if (count < Number(minContains) || count > Number(maxContains))
        return `${at}: ${count} of its items fit "contains"`;
    }
    const other = schema["unevaluatedItems"];
    if (other === undefined || all()) return undefined;
    for (const [index, item] of value.entries()) {
      const misfit = evaluated.has(index) ? undefined : this.apply(other, item, `${at}/${index}`).misfit;
      if (misfit !== undefined) return misfit;
    }
    return undefined;
  }

  private members(
    schema: JsonObject,
    value: JsonObject,
    at: string,
    evaluated: Set<string | number>,
    all: () => boolean,
  ): string | undefined {
    const { properties, propertyNames, additionalProperties } = schema;
    for (const [name, member] of Object.entries(value)) {
      const place = `${at}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      if (propertyNames !== undefined) {
        const { misfit } = this.apply(propertyNames, name, `${place} (the name)`);
        if (misfit !== undefined) return misfit;
      }
      const declared = isObject(properties) && Object.hasOwn(properties, name) ? properties[name] : undefined;
      const of = declared ?? (hidesNames(schema, value) ? undefined : additionalProperties);
      if (of === undefined) continue;
      const { misfit } = this.apply(of, member, place);
      if (misfit !== undefined)
        return declared === undefined && of === false ? `${at}: "${name}" is not allowed` : misfit;
      evaluated.add(name);
    }
    const other = schema["unevaluatedProperties"];
    if (other === undefined || all() || hidesNames(schema, value)) return undefined;
    for (const [name, member] of Object.entries(value)) {
      if (evaluated.has(name)) continue;
      const { misfit } = this.apply(other, member, `${at}/${name}`);
      if (misfit !== undefined) return other === false ? `${at}: "${name}" is not allowed` : misfit;
    }
    return undefined;
  }

  /** Violations that concern no subschema. */
  private misfitOfValue(schema: JsonObject, value: unknown): string | undefined {
    const { type, enum: values, const: constant } = schema;
    if (type !== undefined) {
      const types = Array.isArray(type) ? type : [type];
      if (!types.some((each) => isOfType(value, each))) return `it is ${kindOf(value)}, not ${types.join(" or ")}`;
    }
    if ("const" in schema && !this.equal(value, constant)) return `it is not ${JSON.stringify(constant).slice(0, 60)}`;
    if (Array.isArray(values)) {
      this.spend(values.length / 16);
      if (!values.some((each) => this.equal(value, each))) return "it is none of the values of its enum";
    }
    if (typeof value === "number") return misfitOfNumber(schema, value);
    if (typeof value === "string") return this.misfitOfText(schema, value);
    if (Array.isArray(value)) return this.misfitOfArray(schema, value);
    return isObject(value) ? this.misfitOfObject(schema, value) : undefined;
  }

  private misfitOfText({ minLength, maxLength, format }: JsonObject, value: string): string | undefined {
    if (minLength !== undefined || maxLength !== undefined) {
      this.spend(value.length / 256);
      const length = [...value].length;
      if (length < Number(minLength ?? 0)) return `it has ${length} characters, of at least ${Number(minLength)}`;
      if (length > Number(maxLength ?? Infinity)) return `it has ${length} characters, of at most ${Number(maxLength)}`;
    }
    if (typeof format !== "string" || value.length > longestFormatted || !Object.hasOwn(formats, format))
      return undefined;
    this.spend(1 + value.length / 16);
    return formats[format]?.(value) === false ? `it is no ${format}` : undefined;
  }

  private misfitOfArray(schema: JsonObject, value: ReadonlyArray<unknown>): string | undefined {
    const misfit = misfitOfCount(schema, "Items", value.length, "items");
    if (misfit !== undefined || schema["uniqueItems"] !== true) return misfit;
    const written = new Set(value.map((item) => this.canonical(item)));
    return written.size < value.length ? "its items are not unique" : undefined;
  }

  private misfitOfObject(schema: JsonObject, value: JsonObject): string | undefined {
    const names = Object.keys(value);
    const misfit = misfitOfCount(schema, "Properties", names.length, "properties");
    if (misfit !== undefined) return misfit;
    const required = namesOf(schema["required"]);
    this.spend(required.length / 16);
    const missing = required.find((name) => !Object.hasOwn(value, name));
    if (missing !== undefined) return `"${missing}" is missing`;
    for (const [name, needed] of [...entriesOf(schema["dependentRequired"]), ...entriesOf(schema["dependencies"])]) {
      if (!Array.isArray(needed) || !Object.hasOwn(value, name)) continue;
      const absent = namesOf(needed).find((each) => !Object.hasOwn(value, each));
      if (absent !== undefined) return `"${absent}" is missing, which "${name}" needs`;
    }
    return undefined;
  }

  private equal(a: unknown, b: unknown): boolean {
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
    return this.canonical(a) === this.canonical(b);
  }

  /** The same text for equal values, whatever the order of their members. */
  private canonical(value: unknown): string {
    this.spend(1 / 4);
    if (Array.isArray(value)) return `[${value.map((item) => this.canonical(item)).join()}]`;
    if (!isObject(value)) return JSON.stringify(value) ?? "null";
    const members = Object.keys(value)
      .toSorted()
      .map((name) => `${JSON.stringify(name)}:${this.canonical(value[name])}`);
    return `{${members.join()}}`;
  }
}

/**
 * Whether the schema describes names by a pattern. Which names match is unknown, so no other name is reported either.
 */
const hidesNames = (schema: JsonObject, value: unknown): boolean =>
  isObject(value) && schema["patternProperties"] !== undefined;

const misfitOfNumber = (schema: JsonObject, value: number): string | undefined => {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema;
  if (typeof minimum === "number" && value < minimum) return `${value} is less than ${minimum}`;
  if (typeof maximum === "number" && value > maximum) return `${value} is more than ${maximum}`;
  if (typeof exclusiveMinimum === "number" && value <= exclusiveMinimum)
    return `${value} is not over ${exclusiveMinimum}`;
  if (typeof exclusiveMaximum === "number" && value >= exclusiveMaximum)
    return `${value} is not under ${exclusiveMaximum}`;
  return typeof multipleOf === "number" && !isMultiple(value, multipleOf)
    ? `${value} is no multiple of ${multipleOf}`
    : undefined;
};

/** In decimal arithmetic: 0.3 is a multiple of 0.1. */
const isMultiple = (value: number, of: number): boolean => {
  const times = value / of;
  return (
    Number.isFinite(times) && Math.abs(times - Math.round(times)) <= Number.EPSILON * Math.max(1, Math.abs(times)) * 4
  );
};

const misfitOfCount = (
  schema: JsonObject,
  of: "Items" | "Properties",
  count: number,
  what: string,
): string | undefined => {
  const [least, most] = [schema[`min${of}`], schema[`max${of}`]];
  if (least !== undefined && count < Number(least)) return `it has ${count} ${what}, of at least ${Number(least)}`;
  if (most !== undefined && count > Number(most)) return `it has ${count} ${what}, of at most ${Number(most)}`;
  return undefined;
};

const isOfType = (value: unknown, type: unknown): boolean =>
  type === kindOf(value) || (type === "integer" && Number.isInteger(value));

const kindOf = (value: unknown): string => {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
};

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : []);

const namesOf = (value: unknown): ReadonlyArray<string> =>
  listOf(value).filter((name): name is string => typeof name === "string");

const entriesOf = (value: unknown): ReadonlyArray<[string, unknown]> => (isObject(value) ? Object.entries(value) : []);

/** In UTF-16 units. Longer strings are not checked for their format, as some formats are regular expressions. */
const longestFormatted = 2048;
