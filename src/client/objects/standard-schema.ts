/**
 * What schema libraries have in common: https://standardschema.dev. Copied from there, as the specification asks for, so
 * that nobody has to install it.
 */

/** A schema that validates, and can write itself as a JSON Schema: one of Zod 4.2, ArkType 2.1.28, Valibot, Effect. */
export interface StandardJsonSchema<Input = unknown, Output = Input> {
  readonly "~standard": StandardProps<Input, Output>;
}

/** What such a schema offers. */
interface StandardProps<Input = unknown, Output = Input> {
  readonly version: 1;
  readonly vendor: string;
  readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  readonly validate: (value: unknown, options?: never) => StandardResult<Output> | Promise<StandardResult<Output>>;
  readonly jsonSchema: {
    readonly input: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
    readonly output: (options: { readonly target: "draft-2020-12" }) => Record<string, unknown>;
  };
}

/** What a validation came to. */
type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** What is wrong, and where. */
export interface StandardIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type of what a schema accepts. */
export type InferOutput<Schema extends StandardJsonSchema> = NonNullable<Schema["~standard"]["types"]>["output"];
