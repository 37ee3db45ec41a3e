/** Which types a schema allows, and whether schemas are disjoint. */
import { GrammarRefused } from "./expressions.ts";
import type { WorkBudget } from "./work-budget.ts";
import { isObject, type JsonObject } from "../json-object.ts";

const types = ["null", "boolean", "string", "number", "array", "object"] as const;

/** `number` includes integers; `integer` occurs only without it. */
export const typesOf = (schema: Readonly<Record<string, unknown>>, where: string): ReadonlyArray<string> => {
  const { type } = schema;
  if (type === undefined) return types;
  const given: ReadonlyArray<unknown> = Array.isArray(type) ? type : [type];
  const unknown = given.find((each) => each !== "integer" && !types.some((known) => known === each));
  if (unknown !== undefined || given.length === 0) {
    throw new GrammarRefused(`${JSON.stringify(unknown ?? [])} is no type`, `${where}/type`);
  }
  const named = [...new Set(given.map(String))];
  return named.includes("number") ? named.filter((each) => each !== "integer") : named;
};

/**
 * Whether no value matches two of the schemas, as far as that is easy to see: by their types, or by a member that each
 * requires.
 */
export const exclude = (schemas: ReadonlyArray<unknown>, where: string, budget: WorkBudget): boolean => {
  const values = schemas.map((schema) => (isObject(schema) ? valuesOf(schema) : undefined));
  if (values.every((each) => each !== undefined)) {
    // The usual case, enums: they are disjoint if no value occurs twice, which takes linear time to see.
    const all = values.flatMap((each) => [...new Set(each)]);
    budget.spend(all.length, where);
    return new Set(all).size === all.length;
  }
  return schemas.every((one, index) => schemas.slice(index + 1).every((other) => areApart(one, other, where, budget)));
};

const areApart = (a: unknown, b: unknown, where: string, budget: WorkBudget): boolean => {
  if (a === false || b === false) return true;
  if (!isObject(a) || !isObject(b)) return false;
  const [valuesOfA, valuesOfB] = [valuesOf(a), valuesOf(b)];
  budget.spend(1 + (valuesOfA?.length ?? 0) + (valuesOfB?.length ?? 0), where);
  if (valuesOfA !== undefined && valuesOfB !== undefined) {
    const known = new Set(valuesOfB);
    return valuesOfA.every((value) => !known.has(value));
  }
  const [typesOfA, typesOfB] = [kindsOf(a), kindsOf(b)];
  if (typesOfA.every((type) => !typesOfB.includes(type))) return true;
  if (![typesOfA, typesOfB].every((each) => each.length === 1 && each[0] === "object")) return false;
  const required = new Set(requiredOf(b));
  budget.spend(required.size, where);
  return requiredOf(a).some((name) => {
    const [ofA, ofB] = [propertyOf(a, name), propertyOf(b, name)];
    return required.has(name) && ofA !== undefined && ofB !== undefined && areApart(ofA, ofB, where, budget);
  });
};

/** As JSON text, so that they can be compared. */
const valuesOf = ({ const: constant, enum: values }: JsonObject): ReadonlyArray<string> | undefined => {
  if (constant !== undefined) return [JSON.stringify(constant)];
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)) : undefined;
};

const kindsOf = (schema: JsonObject): ReadonlyArray<string> => {
  const values = Array.isArray(schema.enum) ? schema.enum : "const" in schema ? [schema.const] : undefined;
  if (values !== undefined) return [...new Set(values.map(kindOf))];
  return typesOf(schema, "").map((type) => (type === "integer" ? "number" : type));
};

const kindOf = (value: unknown): string => {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
};

const requiredOf = ({ required }: JsonObject): ReadonlyArray<unknown> => (Array.isArray(required) ? required : []);

const propertyOf = ({ properties }: JsonObject, name: unknown): unknown =>
  isObject(properties) && typeof name === "string" ? properties[name] : undefined;
