/** Converts arguments that a model wrote as plain text into JSON; the tool's schema tells which are strings. */
import { isObject, type JsonObject } from "./json-object.ts";
import { createResolver } from "./tool-schema/references.ts";
import { isJson } from "./json-text.ts";

/** @param parameters the tool's schema; undefined if there is none or no such tool */
export const typedArguments = (
  members: ReadonlyArray<readonly [key: string, value: string]>,
  parameters: JsonObject | undefined,
): string => {
  const properties = propertiesOf(parameters ?? {});
  const written = members.map(([key, text]) => `${JSON.stringify(key)}: ${jsonOf(text, properties.get(key))}`);
  return `{${written.join(", ")}}`;
};

/** The types that a value may have; undefined for any. */
type Types = ReadonlySet<string> | undefined;

/** One line break on each side belongs to the tags. */
const jsonOf = (written: string, types: Types): string => {
  const text = written.replace(/^\r?\n/, "").replace(/\r?\n$/, "");
  const plain = text.trim();
  // Some models write values in Python syntax.
  const json = pythonWords[plain.toLowerCase()] ?? plain;
  const kind = kindOf(json);
  if (types?.has("string") === true && types.size === 1) return JSON.stringify(text);
  if (kind === undefined || kind === "string") return JSON.stringify(text);
  const fits = types === undefined || types.has(kind) || (kind === "integer" && types.has("number"));
  return fits ? json : JSON.stringify(text);
};

const pythonWords: Readonly<Record<string, string>> = { true: "true", false: "false", none: "null", null: "null" };

const kindOf = (json: string): string | undefined => {
  if (!isJson(json)) return undefined;
  const value: unknown = JSON.parse(json);
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
};

const propertiesOf = (parameters: JsonObject): ReadonlyMap<string, Types> => {
  const resolve = createResolver(parameters);
  const found = new Map<string, Types>();
  const visit = (schema: unknown, depth: number): void => {
    if (!isObject(schema) || depth > deepest) return;
    if (isObject(schema["properties"])) {
      for (const [name, of] of Object.entries(schema["properties"])) {
        if (!found.has(name)) found.set(name, typesOf(of, resolve, 0));
      }
    }
    if (typeof schema["$ref"] === "string") visit(resolve(schema["$ref"]), depth + 1);
    for (const part of alternatives(schema)) visit(part, depth + 1);
  };
  visit(parameters, 0);
  return found;
};

const typesOf = (schema: unknown, resolve: (reference: string) => unknown, depth: number): Types => {
  if (!isObject(schema) || depth > deepest) return undefined;
  const { type, enum: values, $ref } = schema;
  if (typeof type === "string") return new Set([type]);
  if (Array.isArray(type)) return new Set(type.map(String));
  if ("const" in schema) return new Set([nameOf(schema["const"])]);
  if (Array.isArray(values)) return new Set(values.map(nameOf));
  if (typeof $ref === "string") return typesOf(resolve($ref), resolve, depth + 1);
  const parts = alternatives(schema).map((part) => typesOf(part, resolve, depth + 1));
  const known = parts.filter((part) => part !== undefined);
  return known.length === 0 ? undefined : new Set(known.flatMap((part) => [...part]));
};

const alternatives = ({ anyOf, oneOf, allOf }: JsonObject): ReadonlyArray<unknown> =>
  [anyOf, oneOf, allOf].flatMap((parts): ReadonlyArray<unknown> => (Array.isArray(parts) ? parts.slice(0, most) : []));

const nameOf = (value: unknown): string => kindOf(JSON.stringify(value)) ?? "null";

/** How deep references and alternatives are followed; beyond that a value may have any type. */
const deepest = 6;
const most = 32;
