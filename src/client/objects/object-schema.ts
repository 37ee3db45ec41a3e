import { checkJson, checkObject } from "../check.ts";
import { invalidField } from "../errors.ts";
import type { JsonSchema } from "../messages.ts";
import type { StandardJsonSchema } from "./standard-schema.ts";
import { describeIssues, type Validated } from "./validation.ts";

/** A schema, to send and to validate with. */
export interface ObjectSchema<T> {
  /** The schema as a JSON Schema. */
  readonly jsonSchema: JsonSchema;
  /** Validates a value. */
  readonly validate: (value: unknown) => Promise<Validated<T>>;
}

/** Reads a schema: one of a library, by the Standard Schema, or a JSON Schema. */
export const readSchema = <T>(schema: unknown, name: string): ObjectSchema<T> => {
  const standard = readStandard(schema);
  if (standard === undefined) {
    if (typeof schema === "function") throw invalidField(name, `a function is not a schema; ${adviceForEffect}`);
    const jsonSchema = checkJson(checkObject(schema, name), name) as JsonSchema; // the JSON of an object is an object
    return { jsonSchema, validate: (value) => validateJson<T>(jsonSchema, value) };
  }
  const { jsonSchema, validate } = standard as Partial<StandardJsonSchema<unknown, T>["~standard"]>;
  if (jsonSchema === undefined || validate === undefined) throw invalidField(name, advice(standard));
  return {
    jsonSchema: written(() => jsonSchema.input({ target: "draft-2020-12", ...optionsOf(standard) }), name),
    validate: async (value) => {
      const result = await validate(value);
      return result.issues === undefined ? { value: result.value } : { issues: describeIssues(result.issues, value) };
    },
  };
};

/** The schemas of most libraries are objects, those of ArkType and Effect functions. */
const readStandard = (schema: unknown): object | undefined => {
  if (typeof schema !== "function" && (typeof schema !== "object" || schema === null)) return undefined;
  const standard: unknown = (schema as Partial<Record<"~standard", unknown>>)["~standard"];
  return typeof standard === "object" && standard !== null ? standard : undefined;
};

const vendorOf = (standard: object): string =>
  "vendor" in standard && typeof standard.vendor === "string" ? standard.vendor : "its library";

/**
 * What a library needs to be told to leave out what JSON Schema cannot express, such as a refinement: the validation checks it.
 * Zod, ArkType and Effect do that by themselves. Valibot asks about each action of a pipe, with its problems and what it made.
 */
const optionsOf = (standard: object): { readonly libraryOptions?: Record<string, unknown> } => {
  if (vendorOf(standard) !== "valibot") return {};
  const overrideAction = ({ errors, jsonSchema }: { readonly errors?: unknown; readonly jsonSchema: unknown }) =>
    errors === undefined || errors === null ? undefined : jsonSchema;
  return { libraryOptions: { overrideAction } };
};

const adviceForEffect =
  "wrap a schema of Effect: Schema.toStandardSchemaV1(Schema.toStandardJSONSchemaV1(schema)), which adds both to it";

const advice = (standard: object): string => {
  const hints: Readonly<Record<string, string>> = {
    valibot: "wrap it in toStandardJsonSchema of @valibot/to-json-schema",
    effect: adviceForEffect,
  };
  const vendor = vendorOf(standard);
  return `the schema of ${vendor} cannot be converted to a JSON Schema: ${hints[vendor] ?? "use a newer version of it"}`;
};

const written = (write: () => unknown, name: string): JsonSchema => {
  try {
    return checkJson(checkObject(write(), name), name) as JsonSchema; // as above
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error);
    throw invalidField(name, `it cannot be converted to a JSON Schema: ${problem}`);
  }
};

/** The validator is only loaded if a JSON Schema is used. */
const validateJson = async <T>(schema: JsonSchema, value: unknown): Promise<Validated<T>> => {
  const { jsonIssues } = await import("./json-issues.ts");
  const issues = jsonIssues(schema, value);
  return issues.length === 0 ? { value: value as T } : { issues: describeIssues(issues, value) }; // the type is declared by the caller
};
