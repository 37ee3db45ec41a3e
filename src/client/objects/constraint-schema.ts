/**
 * The part of a JSON Schema that the service can enforce (docs/generation.md, Constraints). The rest is validated when the object
 * has arrived. Each step only makes the schema more permissive. Keywords that JSON Schema does not have are kept, so that the
 * service refuses them by name.
 */
import type { Json, JsonSchema } from "../messages.ts";

/** The schema to send. */
export const constraintSchema = (schema: JsonSchema): JsonSchema => relaxed(schema) as JsonSchema; // an object remains an object

const relaxed = (schema: Json): Json => {
  if (!isObject(schema)) return schema; // true and false
  // To a grammar, which has no patterns for names, members that match one are additional members.
  const loose = "patternProperties" in schema ? ["additionalProperties"] : [];
  const named = namedMembers(schema);
  const kept = Object.entries(named).filter(([keyword]) => !leftOut.has(keyword) && !loose.includes(keyword));
  const all = Object.fromEntries(kept.map(([keyword, value]) => [keyword, relaxedValue(keyword, value)]));
  return withoutConflicts(all);
};

/** Standard keywords that a grammar cannot express. */
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

/** A record whose names are listed, as of `z.record(z.enum(...), ...)`, as an object with these members. */
const namedMembers = (schema: Members): Members => {
  const { propertyNames, properties, patternProperties, additionalProperties = true } = schema;
  if (propertyNames === undefined || !isObject(propertyNames)) return schema;
  if (properties !== undefined || patternProperties !== undefined) return schema;
  const names = "const" in propertyNames ? [propertyNames["const"]] : propertyNames["enum"];
  if (!Array.isArray(names) || !names.every((name) => typeof name === "string")) return schema;
  const members = Object.fromEntries(names.map((name) => [name, additionalProperties]));
  return { ...schema, properties: members, additionalProperties: false };
};

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

/** Removes keywords that the service does not support together. */
const withoutConflicts = (schema: Members): Members =>
  [onlyValues, anyOfOneOf, oneRuleForStrings, wholeBounds].reduce((kept, step) => step(kept), schema);

const without = (schema: Members, ...keywords: readonly string[]): Members =>
  Object.fromEntries(Object.entries(schema).filter(([keyword]) => !keywords.includes(keyword)));

/** `enum` and `const` make all other keywords unnecessary. */
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

/** The validation checks that only one alternative of `oneOf` matches. */
const anyOfOneOf = (schema: Members): Members => {
  const { oneOf } = schema;
  if (oneOf === undefined) return schema;
  return "anyOf" in schema ? without(schema, "oneOf") : { ...without(schema, "oneOf"), anyOf: oneOf };
};

/** What a grammar knows of `format`. */
const formats: ReadonlySet<unknown> = new Set(["date", "time", "date-time", "uuid", "ipv4"]);

/** Parts of regular expressions that a grammar cannot express. */
const beyondGrammar = /\(\?(?!:)|\\[1-9kbBpP]/;

/** Of the rules for a string that a grammar can express, the most exact one. */
const oneRuleForStrings = (schema: Members): Members => {
  const { format, pattern } = schema;
  const isExpressible = typeof pattern === "string" && !beyondGrammar.test(pattern);
  // Libraries write the pattern of a format beside it, and theirs may be stricter: a date of the calendar, a time in UTC.
  const isWhole = isExpressible && /^\^[^]*\$$/.test(pattern);
  if (formats.has(format) && !isWhole) return without(schema, "pattern", "minLength", "maxLength");
  return isExpressible ? without(schema, "format", "minLength", "maxLength") : without(schema, "format", "pattern");
};

/** Numbers that may be fractions need inclusive bounds that are integers. */
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
