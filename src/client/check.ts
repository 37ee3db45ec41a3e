/**
 * Checks of what callers give. Types keep most of it out of TypeScript; a plain JavaScript caller, a configuration or a
 * form brings the rest, and is to hear the option's name, the value and what may be given.
 */
import { invalidField } from "./errors.ts";

/** The largest number of the API's unsigned fields. */
const maxUint32 = 2 ** 32 - 1;

/** The longest duration that protobuf holds, in milliseconds: some 10,000 years. */
const maxDurationMs = 315_576_000_000_000;

/** A value in a few characters, for a message. */
export const show = (value: unknown): string => {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
    case "bigint":
      return `${value}n`;
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "an array" : "an object";
    default:
      return String(value);
  }
};

/** A text that UTF-8 can hold: half of a surrogate pair would silently become U+FFFD. */
export const checkText = (value: unknown, name: string): string => {
  if (typeof value !== "string") throw invalidField(name, `${show(value)} is no text`);
  if (!value.isWellFormed()) throw invalidField(name, "the text has half of a surrogate pair; was it cut there?");
  return value;
};

/** A number that is finite. */
export const checkNumber = (value: unknown, name: string): number => {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalidField(name, `${show(value)} is no finite number`);
};

/** A whole number between these. */
export const checkWhole = (value: unknown, name: string, least = 0, most = maxUint32): number => {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalidField(name, `${show(value)} is no whole number from ${least} to ${most}`);
};

/** Milliseconds from 0 on. */
export const checkMs = (value: unknown, name: string): number => {
  if (typeof value === "number" && value >= 0 && value <= maxDurationMs) return value;
  throw invalidField(name, `${show(value)} is no number of milliseconds from 0 to ${maxDurationMs}`);
};

/** True or false, and nothing that only counts as such. */
export const checkFlag = (value: unknown, name: string): boolean => {
  if (typeof value === "boolean") return value;
  throw invalidField(name, `${show(value)} is neither true nor false`);
};

/** An object with named members, which is no array and none of the built-in kinds. */
export const checkObject = (value: unknown, name: string): Readonly<Record<string, unknown>> => {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)) {
    return value as Readonly<Record<string, unknown>>; // any object can be asked for any key
  }
  throw invalidField(name, `${show(value)} is no object`);
};

/** An array, or whatever else has items in an order; not a text. */
export const checkList = (value: unknown, name: string): readonly unknown[] => {
  if (Array.isArray(value)) return value;
  if (typeof value === "object" && value !== null && Symbol.iterator in value) {
    return [...(value as Iterable<unknown>)];
  }
  throw invalidField(name, `${show(value)} is no array`);
};

/** Texts, each checked. */
export const checkTexts = (value: unknown, name: string): string[] =>
  checkList(value, name).map((text, index) => checkText(text, `${name}[${index}]`));

/** Token ids, from an array or a typed array. */
export const checkTokenIds = (value: unknown, name: string): number[] =>
  checkList(value, name).map((id, index) => checkWhole(id, `${name}[${index}]`));

/** A name out of several. */
export const checkChoice = <Choice extends string>(
  value: unknown,
  name: string,
  choices: readonly Choice[],
  what: string,
): Choice => {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw invalidField(name, `${show(value)} is no ${what}: ${choices.join(", ")}`);
  return found;
};

/** The value of that name in a generated enum; refuses what is no name with the names that there are. */
export const checkEnum = <Values extends Readonly<Record<string, number>>>(
  values: Values,
  value: unknown,
  name: string,
  what: string,
): Values[keyof Values] => {
  const names = Object.keys(values).filter((key) => key !== "UNSPECIFIED");
  const choice = checkChoice(
    value,
    name,
    names.map((key) => key.toLowerCase()),
    what,
  );
  return values[choice.toUpperCase() as keyof Values];
};

/** Refuses members that nobody would read. */
export const checkKeys = (value: object, name: string, keys: readonly string[], what: string): void => {
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined || keys.includes(key)) continue;
    throw invalidField(name === "" ? key : `${name}.${key}`, `there is no such ${what}; there are ${keys.join(", ")}`);
  }
};

/** Something that others make: it has to do at least this. */
export const checkFunctions = (value: unknown, name: string, functions: readonly string[]): void => {
  const object = checkObject(value, name);
  const missing = functions.find((key) => typeof object[key] !== "function");
  if (missing !== undefined) throw invalidField(`${name}.${missing}`, `${show(object[missing])} is no function`);
};

/** How deep JSON may be nested; what is deeper would end in a stack overflow somewhere on its way. */
const maxDepth = 256;

/**
 * A copy of a value as JSON has it, without keys whose value is undefined. Refuses what JSON would change in silence or
 * cannot hold: NaN, bigint, functions, cycles.
 */
export const checkJson = (value: unknown, name: string): unknown => {
  assertJson(value, name, 0);
  try {
    return JSON.parse(JSON.stringify(value));
  } catch (error) {
    throw invalidField(name, `it cannot be written as JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
};

const assertJson = (value: unknown, name: string, depth: number): void => {
  if (depth > maxDepth) throw invalidField(name, `it is nested deeper than ${maxDepth} levels, or in a circle`);
  switch (typeof value) {
    case "boolean":
    case "undefined":
      return;
    case "string":
      return void checkText(value, name);
    case "number":
      return void checkNumber(value, name);
    case "object":
      if (value === null) return;
      if ("toJSON" in value && typeof value.toJSON === "function") {
        return assertJson((value.toJSON as () => unknown)(), name, depth + 1);
      }
      if (Array.isArray(value)) {
        return value.forEach((item, index) => assertJson(item ?? null, `${name}[${index}]`, depth + 1));
      }
      for (const [key, item] of Object.entries(value)) assertJson(item, `${name}.${checkText(key, name)}`, depth + 1);
      return;
    default:
      throw invalidField(name, `${show(value)} cannot be written as JSON`);
  }
};
