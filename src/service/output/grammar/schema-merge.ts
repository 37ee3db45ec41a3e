/** Merges schemas into one that requires everything that each of them requires. */
import { GrammarRefused } from "./expressions.ts";
import { keysInOrder, withKeyOrder } from "./key-order.ts";
import type { WorkBudget } from "./work-budget.ts";
import { isObject, type JsonObject } from "../json-object.ts";

export const mergeSchemas = (schemas: ReadonlyArray<unknown>, where: string, budget: WorkBudget): unknown => {
  if (schemas.some((schema) => schema === false)) return false;
  return schemas
    .filter((schema) => schema !== true)
    .reduce<unknown>((merged, next) => {
      if (!isObject(merged) || !isObject(next)) throw new GrammarRefused("a schema is an object or a boolean", where);
      return mergeTwo(merged, next, where, budget);
    }, {});
};

const mergeTwo = (a: JsonObject, b: JsonObject, where: string, budget: WorkBudget): JsonObject => {
  budget.spend(Object.keys(a).length + Object.keys(b).length, where);
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    // These keywords refer to the members that the other keywords of the same schema leave over.
    if (
      "additionalProperties" in one &&
      "properties" in other &&
      !sameKeys(one.properties, other.properties, where, budget)
    ) {
      throw new GrammarRefused(
        "it is not supported beside properties of another schema",
        `${where}/additionalProperties`,
      );
    }
    if ("items" in one && "prefixItems" in other && !same(one.prefixItems, other.prefixItems, where, budget)) {
      throw new GrammarRefused("it is not supported beside prefixItems of another schema", `${where}/items`);
    }
  }
  const merged: Record<string, unknown> = { ...a };
  for (const [keyword, value] of Object.entries(b)) {
    const own = merged[keyword];
    const isPlain = own === undefined || (!growing.has(keyword) && same(own, value, where, budget));
    merged[keyword] = isPlain ? value : together(keyword, own, value, where, budget);
  }
  return merged;
};

const together = (keyword: string, a: unknown, b: unknown, where: string, budget: WorkBudget): unknown => {
  budget.spend(sizeOf(a) + sizeOf(b), where);
  switch (keyword) {
    case "required":
      return [...new Set([...listOf(a), ...listOf(b)])];
    case "allOf":
      return [...listOf(a), ...listOf(b)];
    case "type": {
      const other = listOf(b);
      const both = listOf(a).flatMap((type) => {
        if (other.includes(type)) return [type];
        // Integers are numbers.
        if (type === "number" && other.includes("integer")) return ["integer"];
        return type === "integer" && other.includes("number") ? ["integer"] : [];
      });
      if (both.length > 0) return both;
      throw new GrammarRefused("no type fits all of its schemas", `${where}/type`);
    }
    case "enum": {
      const known = new Set(listOf(b).map(canonicalJson));
      return listOf(a).filter((value) => known.has(canonicalJson(value)));
    }
    case "minimum":
    case "exclusiveMinimum":
    case "minLength":
    case "minItems":
      return Math.max(Number(a), Number(b));
    case "maximum":
    case "exclusiveMaximum":
    case "maxLength":
    case "maxItems":
      return Math.min(Number(a), Number(b));
    case "properties":
      if (isObject(a) && isObject(b)) return mergeProperties(a, b);
      break;
    case "items":
    case "additionalProperties":
      return mergeSchemas([a, b], `${where}/${keyword}`, budget);
  }
  throw new GrammarRefused("two that differ have to hold, which is not supported", `${where}/${keyword}`);
};

const mergeProperties = (a: JsonObject, b: JsonObject): JsonObject => {
  const merged: Record<string, unknown> = { ...a };
  for (const [name, schema] of Object.entries(b)) {
    merged[name] = Object.hasOwn(a, name) ? { allOf: [a[name], schema] } : schema;
  }
  return withKeyOrder(merged, [...keysInOrder(a), ...keysInOrder(b).filter((name) => !Object.hasOwn(a, name))]);
};

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [value]);

/** The number of members at the top level. */
const sizeOf = (value: unknown): number =>
  typeof value === "object" && value !== null ? Object.keys(value).length : 1;

const same = (a: unknown, b: unknown, where: string, budget: WorkBudget): boolean => {
  if (a === b) return true;
  const [one, other] = [canonicalJson(a), canonicalJson(b)];
  budget.spend(Math.ceil((one.length + other.length) / charactersOfAStep), where);
  return one === other;
};

/** JSON with sorted keys: equal values have equal texts. */
const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, of: unknown) =>
    isObject(of) ? Object.fromEntries(Object.entries(of).toSorted(([a], [b]) => (a < b ? -1 : 1))) : of,
  );

const sameKeys = (a: unknown, b: unknown, where: string, budget: WorkBudget): boolean =>
  isObject(a) && isObject(b) && same(Object.keys(a).toSorted(), Object.keys(b).toSorted(), where, budget);

/** Keywords that grow with each merged schema are not compared for equality. */
const growing: ReadonlySet<string> = new Set(["properties", "required"]);

const charactersOfAStep = 32;
