/**
 * Checks of arguments. TypeScript's types catch most mistakes; the rest comes from plain JavaScript, configuration and forms.
 * Each error names the option, the value and what is allowed.
 */
import { invalidField } from "./errors.ts";

/** The largest number of the API's unsigned fields. */
const maxUint32 = 2 ** 32 - 1;

/** The longest duration that protobuf holds, in milliseconds: some 10,000 years. */
const maxDurationMs = 315_576_000_000_000;

/** A short description of a value, for messages. */
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

/** A string that UTF-8 can encode: half of a surrogate pair would silently become U+FFFD. */
export const checkText = (value: unknown, name: string): string => {
  if (typeof value !== "string") throw invalidField(name, `${show(value)} is not a string`);
  if (!value.isWellFormed()) throw invalidField(name, "the text contains half of a surrogate pair; was it cut there?");
  return value;
};

/** A number that is finite. */
export const checkNumber = (value: unknown, name: string): number => {
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw invalidField(name, `${show(value)} is not a finite number`);
};

/** A whole number between these. */
export const checkWhole = (value: unknown, name: string, least = 0, most = maxUint32): number => {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalidField(name, `${show(value)} is not a whole number from ${least} to ${most}`);
};

/** Milliseconds from 0 on. */
export const checkMs = (value: unknown, name: string): number => {
  if (typeof value === "number" && value >= 0 && value <= maxDurationMs) return value;
  throw invalidField(name, `${show(value)} is not a number of milliseconds from 0 to ${maxDurationMs}`);
};

/** True or false; no other value counts as either. */
export const checkFlag = (value: unknown, name: string): boolean => {
  if (typeof value === "boolean") return value;
  throw invalidField(name, `${show(value)} is neither true nor false`);
};

/** An object with named members: not an array, and not a view of a buffer. */
export const checkObject = (value: unknown, name: string): Readonly<Record<string, unknown>> => {
  if (typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)) {
    return value as Readonly<Record<string, unknown>>; // any object can be asked for any key
  }
  throw invalidField(name, `${show(value)} is not an object`);
};

/** An array or another iterable; not a string. */
export const checkList = (value: unknown, name: string): readonly unknown[] => {
  if (Array.isArray(value)) return value;
  if (typeof value === "object" && value !== null && Symbol.iterator in value) {
    return [...(value as Iterable<unknown>)];
  }
  throw invalidField(name, `${show(value)} is not an array`);
};

/** Strings, each checked. */
export const checkTexts = (value: unknown, name: string): string[] =>
  checkList(value, name).map((text, index) => checkText(text, `${name}[${index}]`));

/** Token ids, from an array or a typed array. */
export const checkTokenIds = (value: unknown, name: string): number[] =>
  checkList(value, name).map((id, index) => checkWhole(id, `${name}[${index}]`));

/** One of several names. */
export const checkChoice = <Choice extends string>(
  value: unknown,
  name: string,
  choices: readonly Choice[],
): Choice => {
  const found = choices.find((choice) => choice === value);
  if (found === undefined) throw invalidField(name, `${show(value)} is not one of ${choices.join(", ")}`);
  return found;
};

/** The value with this name in a generated enum. */
export const checkEnum = <Values extends Readonly<Record<string, number>>>(
  values: Values,
  value: unknown,
  name: string,
): Values[keyof Values] => {
  const names = Object.keys(values).filter((key) => key !== "UNSPECIFIED");
  const choice = checkChoice(
    value,
    name,
    names.map((key) => key.toLowerCase()),
  );
  return values[choice.toUpperCase() as keyof Values];
};

/** Refuses unknown members. */
export const checkKeys = (value: object, name: string, keys: readonly string[], what: string): void => {
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined || keys.includes(key)) continue;
    throw invalidField(name === "" ? key : `${name}.${key}`, `there is no such ${what}; there are ${keys.join(", ")}`);
  }
};

/** An object of a caller that has at least these methods. */
export const checkFunctions = (value: unknown, name: string, functions: readonly string[]): void => {
  const object = checkObject(value, name);
  const missing = functions.find((key) => typeof object[key] !== "function");
  if (missing !== undefined) throw invalidField(`${name}.${missing}`, `${show(object[missing])} is not a function`);
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
