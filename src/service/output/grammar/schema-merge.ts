/** One schema that says what several say together. */
import { GrammarRefused } from "./expressions.ts";

export type JsonObject = Readonly<Record<string, unknown>>;

export const mergeSchemas = (schemas: ReadonlyArray<unknown>, where: string): unknown => {
  if (schemas.some((schema) => schema === false)) return false;
  return schemas
    .filter((schema) => schema !== true)
    .reduce<unknown>((merged, next) => {
      if (!isObject(merged) || !isObject(next)) throw new GrammarRefused("a schema is an object or a boolean", where);
      return mergeTwo(merged, next, where);
    }, {});
};

const mergeTwo = (a: JsonObject, b: JsonObject, where: string): JsonObject => {
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    // These speak of what the other members of their own schema leave over.
    if ("additionalProperties" in one && "properties" in other && !sameKeys(one.properties, other.properties)) {
      throw new GrammarRefused(
        "it is not supported beside properties of another schema",
        `${where}/additionalProperties`,
      );
    }
    if ("items" in one && "prefixItems" in other && !same(one.prefixItems, other.prefixItems)) {
      throw new GrammarRefused("it is not supported beside prefixItems of another schema", `${where}/items`);
    }
  }
  const merged: Record<string, unknown> = { ...a };
  for (const [keyword, value] of Object.entries(b)) {
    const own = merged[keyword];
    merged[keyword] = own === undefined || same(own, value) ? value : together(keyword, own, value, where);
  }
  return merged;
};

const together = (keyword: string, a: unknown, b: unknown, where: string): unknown => {
  switch (keyword) {
    case "title":
    case "description":
    case "default":
    case "examples":
    case "$comment":
    case "$defs":
    case "definitions":
    case "$schema":
    case "deprecated":
    case "readOnly":
    case "writeOnly":
      return a;
    case "required":
      return [...new Set([...listOf(a), ...listOf(b)])];
    case "allOf":
      return [...listOf(a), ...listOf(b)];
    case "type": {
      const other = listOf(b);
      const both = listOf(a).flatMap((type) => {
        if (other.includes(type)) return [type];
        // Whole numbers are numbers.
        if (type === "number" && other.includes("integer")) return ["integer"];
        return type === "integer" && other.includes("number") ? ["integer"] : [];
      });
      if (both.length > 0) return both;
      throw new GrammarRefused("no type fits all of its schemas", `${where}/type`);
    }
    case "enum":
      return listOf(a).filter((value) => listOf(b).some((other) => same(value, other)));
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
      return mergeSchemas([a, b], `${where}/${keyword}`);
  }
  throw new GrammarRefused("two that differ have to hold, which is not supported", `${where}/${keyword}`);
};

const mergeProperties = (a: JsonObject, b: JsonObject): JsonObject => {
  const merged: Record<string, unknown> = { ...a };
  for (const [name, schema] of Object.entries(b)) {
    merged[name] = Object.hasOwn(a, name) ? { allOf: [a[name], schema] } : schema;
  }
  return merged;
};

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : [value]);

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

const sameKeys = (a: unknown, b: unknown): boolean =>
  isObject(a) && isObject(b) && same(Object.keys(a).toSorted(), Object.keys(b).toSorted());

const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
