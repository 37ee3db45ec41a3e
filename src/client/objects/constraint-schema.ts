/**
 * The part of a JSON Schema that the service can hold an output to (docs/generation.md, Constraints). What is left out
 * here is looked at when the object has arrived. Every step lets more through and never less; a keyword that JSON Schema
 * does not have stays, so that the service refuses it by its name.
 */
import type { Json, JsonSchema } from "../messages.ts";

/** The schema to send. */
export const constraintSchema = (schema: JsonSchema): JsonSchema => relaxed(schema) as JsonSchema; // an object stays one

const relaxed = (schema: Json): Json => {
  if (!isObject(schema)) return schema; // true and false
  // Where patterns give members, those are additional ones to a grammar that does not know patterns.
  const loose = "patternProperties" in schema ? ["additionalProperties"] : [];
  const kept = Object.entries(schema).filter(([keyword]) => !leftOut.has(keyword) && !loose.includes(keyword));
  const all = Object.fromEntries(kept.map(([keyword, value]) => [keyword, relaxedValue(keyword, value)]));
  return withoutConflicts(all);
};

/** Standard keywords that no grammar is made of. */
const leftOut: ReadonlySet<string> = new Set([
  "multipleOf",
  "uniqueItems",
  "minProperties",
  "maxProperties",
  "patternProperties",
  "propertyNames",
  "contains",
  "minContains",
  "maxContains",
  "not",
  "if",
  "then",
  "else",
  "dependentRequired",
  "dependentSchemas",
  "unevaluatedItems",
  "unevaluatedProperties",
]);

const relaxedValue = (keyword: string, value: Json): Json => {
  switch (keyword) {
    case "properties":
    case "$defs":
    case "definitions":
      return isObject(value) ? mapValues(value, relaxed) : value;
    case "anyOf":
    case "allOf":
    case "oneOf":
    case "prefixItems":
      return Array.isArray(value) ? (value as readonly Json[]).map(relaxed) : value;
    case "items":
    case "additionalProperties":
      return relaxed(value);
    default:
      return value;
  }
};

type Members = { readonly [keyword: string]: Json };

/** Keywords that hold alone and not beside each other. */
const withoutConflicts = (schema: Members): Members =>
  [onlyValues, anyOfOneOf, oneRuleForStrings, wholeBounds].reduce((kept, step) => step(kept), schema);

const without = (schema: Members, ...keywords: readonly string[]): Members =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !keywords.includes(keyword)));

/** Values say all. */
const onlyValues = (schema: Members): Members =>
  "enum" in schema || "const" in schema
    ? without(
        schema,
        "anyOf",
        "oneOf",
        "allOf",
        "pattern",
        "format",
        "items",
        "prefixItems",
        "properties",
        "additionalProperties",
        "required",
      )
    : schema;

/** That not two of them fit is for the validation. */
const anyOfOneOf = (schema: Members): Members => {
  const { oneOf } = schema;
  if (oneOf === undefined) return schema;
  return "anyOf" in schema ? without(schema, "oneOf") : { ...without(schema, "oneOf"), anyOf: oneOf };
};

const formats: ReadonlySet<unknown> = new Set(["date", "time", "date-time", "uuid", "ipv4"]);

/** Of regular expressions: what no grammar is made of. */
const beyondGrammar = /\(\?(?!:)|\\[1-9kbBpP]/;

const oneRuleForStrings = (schema: Members): Members => {
  const { format, pattern } = schema;
  if (format !== undefined && formats.has(format)) return without(schema, "pattern", "minLength", "maxLength");
  const rest = without(schema, "format");
  if (typeof pattern !== "string") return rest;
  return beyondGrammar.test(pattern) ? without(rest, "pattern") : without(rest, "minLength", "maxLength");
};

/** A number that may be a fraction has whole bounds that belong to it. */
const wholeBounds = (schema: Members): Members => {
  const { type, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (type === "integer") return schema;
  const least = [minimum, exclusiveMinimum].filter((bound) => typeof bound === "number").map(Math.floor);
  const most = [maximum, exclusiveMaximum].filter((bound) => typeof bound === "number").map(Math.ceil);
  return {
    ...without(schema, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    ...(least.length > 0 && { minimum: Math.max(...least) }),
    ...(most.length > 0 && { maximum: Math.min(...most) }),
  };
};

const mapValues = (object: Members, map: (value: Json) => Json): Members =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, map(value)]));

const isObject = (value: Json): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);
