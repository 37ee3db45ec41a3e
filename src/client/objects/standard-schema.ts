/**
 * The interface that schema libraries share: https://standardschema.dev. Copied from there, as the specification recommends, so
 * that it does not have to be installed.
 */

/** A schema that validates and can be converted to a JSON Schema: of Zod 4.2, ArkType 2.1.28, Valibot or Effect. */
export interface StandardJsonSchema<Input = unknown, Output = Input> {
  readonly "~standard": StandardProps<Input, Output>;
}

/** The members of such a schema. */
interface StandardProps<Input = unknown, Output = Input> {
  readonly version: 1;
  readonly vendor: string;
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  readonly validate: (value: unknown, options?: never) => StandardResult<Output> | Promise<StandardResult<Output>>;
  readonly jsonSchema: {
    readonly input: (options: JsonSchemaOptions) => Record<string, unknown>;
    readonly output: (options: JsonSchemaOptions) => Record<string, unknown>;
  };
}

/** How a JSON Schema is to be written. */
interface JsonSchemaOptions {
  readonly target: "draft-2020-12";
  readonly libraryOptions?: Record<string, unknown> | undefined;
}

/** The result of a validation. */
type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** What is wrong, and where. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type of the values that a schema accepts. */
export type InferOutput<Schema extends StandardJsonSchema> = NonNullable<Schema["~standard"]["types"]>["output"];

/** The type of the values that a schema validates: what it accepts before it converts anything. */
export type InferInput<Schema extends StandardJsonSchema> = NonNullable<Schema["~standard"]["types"]>["input"];
