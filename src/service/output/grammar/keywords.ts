/** The keywords of JSON Schema: which are held to, which ask for nothing, and which cannot be held to. */
import { GrammarRefused } from "./expressions.ts";

export const assertSupported = (keyword: string, value: unknown, where: string): void => {
  if (assertions.has(keyword) || isAnnotation(keyword) || asksForNothing(keyword, value)) return;
  // Further down it would be another base for references.
  if (keyword === "$id" && where === "#" && typeof value === "string") return;
  throw new GrammarRefused("this keyword is not supported", `${where}/${keyword.slice(0, 64)}`);
};

/** Whether a keyword says something about values that is to be held to. */
export const isAssertion = (keyword: string): boolean => assertions.has(keyword);

const isAnnotation = (keyword: string): boolean => annotations.has(keyword) || keyword.startsWith("x-");

/** What could be refused, and is there in a form that allows everything. */
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
  // Of OpenAPI: it tells which of several schemas is meant, and they say so themselves.
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
