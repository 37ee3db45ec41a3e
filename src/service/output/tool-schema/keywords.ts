/** What the keywords of JSON Schema (draft 2020-12) may contain, and which of them contain schemas. */
import { isObject } from "../json-object.ts";

/**
 * Keywords whose schemas apply to the same value (`in-place`) or to parts of it (`within`). They contain an object of
 * schemas (`named`), an array of them (`list`) or one (`single`).
 */
export const applicators: Readonly<
  Record<string, { readonly holds: "single" | "list" | "named"; readonly to: "in-place" | "within" | "nothing" }>
> = {
  allOf: { holds: "list", to: "in-place" },
  anyOf: { holds: "list", to: "in-place" },
  oneOf: { holds: "list", to: "in-place" },
  not: { holds: "single", to: "in-place" },
  if: { holds: "single", to: "in-place" },
  // oxlint-disable-next-line unicorn/no-thenable -- the keyword's name
  then: { holds: "single", to: "in-place" },
  else: { holds: "single", to: "in-place" },
  dependentSchemas: { holds: "named", to: "in-place" },
  /** The name in older drafts, where its members may also be lists of names. */
  dependencies: { holds: "named", to: "in-place" },
  properties: { holds: "named", to: "within" },
  patternProperties: { holds: "named", to: "within" },
  additionalProperties: { holds: "single", to: "within" },
  unevaluatedProperties: { holds: "single", to: "within" },
  propertyNames: { holds: "single", to: "within" },
  prefixItems: { holds: "list", to: "within" },
  items: { holds: "single", to: "within" },
  additionalItems: { holds: "single", to: "within" },
  unevaluatedItems: { holds: "single", to: "within" },
  contains: { holds: "single", to: "within" },
  $defs: { holds: "named", to: "nothing" },
  definitions: { holds: "named", to: "nothing" },
};

const types = ["object", "array", "string", "number", "integer", "boolean", "null"];

/** Names of types in other languages, and the JSON Schema types that they probably mean. */
const meant: Readonly<Record<string, string>> = {
  float: "number",
  double: "number",
  decimal: "number",
  int: "integer",
  long: "integer",
  str: "string",
  text: "string",
  bool: "boolean",
  dict: "object",
  map: "object",
  list: "array",
  tuple: "array",
  none: "null",
};

/** Why the keyword cannot have this value, worded to follow its place; undefined if it can. */
export const valueProblem = (keyword: string, value: unknown): string | undefined => {
  switch (keyword) {
    case "type":
      return typeProblem(value);
    case "enum":
      return Array.isArray(value) ? undefined : "must be an array";
    case "required":
      return isTexts(value) ? undefined : "must be an array of names";
    case "dependentRequired":
      return isObject(value) && Object.values(value).every(isTexts) ? undefined : "must be arrays of names, by name";
    case "minLength":
    case "maxLength":
    case "minItems":
    case "maxItems":
    case "minProperties":
    case "maxProperties":
    case "minContains":
    case "maxContains":
      return Number.isInteger(value) && Number(value) >= 0 ? undefined : "must be a whole number, 0 or more";
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      return typeof value === "number" ? undefined : "must be a number";
    case "multipleOf":
      return typeof value === "number" && value > 0 ? undefined : "must be a number over 0";
    case "uniqueItems":
      return typeof value === "boolean" ? undefined : "must be true or false";
    case "format":
    case "$id":
    case "$anchor":
      return typeof value === "string" ? undefined : "must be a string";
    case "pattern":
      return patternProblem(value);
    case "patternProperties":
      return isObject(value) ? Object.keys(value).map(patternProblem).find(Boolean) : undefined;
    case "$dynamicRef":
    case "$recursiveRef":
      return "is not supported; use $ref";
    default:
      return undefined;
  }
};

const typeProblem = (value: unknown): string | undefined => {
  const given: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value];
  const strange = given.find((type) => typeof type !== "string" || !types.includes(type));
  if (given.length === 0) return "must name a type";
  if (strange === undefined) return undefined;
  const instead = typeof strange === "string" ? meant[strange.toLowerCase()] : undefined;
  const hint = instead === undefined ? `must be one of ${types.join(", ")}` : `use "${instead}"`;
  return `${JSON.stringify(strange).slice(0, 40)} is no type; ${hint}`;
};

const patternProblem = (pattern: unknown): string | undefined => {
  if (typeof pattern !== "string") return "must be a string";
  // Authors escape more characters than the Unicode mode allows.
  if (compiles(pattern, "u") || compiles(pattern, "")) return undefined;
  return `${JSON.stringify(pattern.slice(0, 60))} is no regular expression of ECMAScript`;
};

const compiles = (pattern: string, flags: string): boolean => {
  try {
    RegExp(pattern, flags);
    return true;
  } catch {
    return false;
  }
};

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((name) => typeof name === "string");
