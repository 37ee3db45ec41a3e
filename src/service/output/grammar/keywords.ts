/** Classifies the keywords of JSON Schema: enforced, without effect, or not supported. */
import { GrammarRefused } from "./expressions.ts";

export const assertSupported = (keyword: string, value: unknown, where: string): void => {
  if (assertions.has(keyword) || isAnnotation(keyword) || asksForNothing(keyword, value)) return;
  // In a subschema it would change the base of references.
  if (keyword === "$id" && where === "#" && typeof value === "string") return;
  throw new GrammarRefused("this keyword is not supported", `${where}/${keyword.slice(0, 64)}`);
};

/** Whether a keyword restricts values and has to be enforced. */
export const isAssertion = (keyword: string): boolean => assertions.has(keyword);

const isAnnotation = (keyword: string): boolean => annotations.has(keyword) || keyword.startsWith("x-");

/** An unsupported keyword with a value that allows everything. */
const asksForNothing = (keyword: string, value: unknown): boolean => {
  switch (keyword) {
    case "uniqueItems":
    case "nullable":
      return value === false;
    case "minProperties":
    case "minContains":
      return value === 0;
    case "patternProperties":
    case "dependentRequired":
    case "dependentSchemas":
    case "dependencies":
      return isEmptyObject(value);
    case "propertyNames":
    case "unevaluatedProperties":
    case "unevaluatedItems":
      return value === true || isEmptyObject(value);
    default:
      return false;
  }
};

const isEmptyObject = (value: unknown): boolean =>
  typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 0;

const annotations: ReadonlySet<string> = new Set([
  "$schema",
  "$comment",
  "$defs",
  "definitions",
  "title",
  "description",
  "default",
  "example",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "contentEncoding",
  "contentMediaType",
  "contentSchema",
  // OpenAPI's; it only says which alternative is meant, and the alternatives distinguish themselves.
  "discriminator",
  "externalDocs",
  "xml",
]);

const assertions: ReadonlySet<string> = new Set([
  "$ref",
  "allOf",
  "anyOf",
  "oneOf",
  "const",
  "enum",
  "type",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minLength",
  "maxLength",
  "pattern",
  "format",
  "items",
  "prefixItems",
  "minItems",
  "maxItems",
  "properties",
  "required",
  "additionalProperties",
]);
