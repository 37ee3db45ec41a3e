import type { MlxdClient } from "../client.ts";
import { DerivedStream } from "../derived-stream.ts";
import { invalidField, MlxdError } from "../errors.ts";
import type { GenerationResult } from "../results.ts";
import type { GenerationInput } from "../task.ts";
import { constraintSchema } from "./constraint-schema.ts";
import type { ObjectOptions, ObjectResult, PartialOf } from "./object.ts";
import { type ObjectSchema, readSchema } from "./object-schema.ts";
import { parsePartialJson } from "./partial-json.ts";

type Generating = Pick<MlxdClient, "generate" | "stream">;

/** `client.generateObject` and `client.streamObject`, which use the given calls. */
export const createObjectCalls = (client: Generating): Pick<MlxdClient, "generateObject" | "streamObject"> => ({
  generateObject: async <T>(schema: unknown, input: GenerationInput, options: ObjectOptions = {}) => {
    const { object, parameters } = prepare<T>(schema, options);
    return objectOf(object, await client.generate(input, parameters));
  },

  streamObject: <T>(schema: unknown, input: GenerationInput, options: ObjectOptions = {}) => {
    const { object, parameters } = prepare<T>(schema, options);
    const { signal, ...others } = parameters;
    client.stream(input, others); // makes no call yet, but refuses invalid arguments now
    return new DerivedStream<PartialOf<T>, ObjectResult<T>>(async function* (own) {
      const stream = client.stream(input, { ...others, signal: own });
      let [text, shown] = ["", ""];
      for await (const delta of stream.textDeltas()) {
        text += delta;
        const partial = parsePartialJson(text);
        const written = JSON.stringify(partial);
        if (partial === undefined || written === shown) continue;
        shown = written;
        yield partial as PartialOf<T>; // the constraint enforces the schema
      }
      return objectOf(object, await stream.collect());
    }, signal);
  },
});

/** Options of a generation that do not apply to an object. */
const decided = ["constraint", "candidateCount", "echoPrompt", "verbatim"] as const;

const prepare = <T>(schema: unknown, options: ObjectOptions) => {
  const object = readSchema<T>(schema, "schema");
  const given = options as Readonly<Record<string, unknown>>;
  const extra = decided.find((name) => given[name] !== undefined);
  if (extra !== undefined)
    throw invalidField(extra, "there is no such option for an object: its schema determines the output");
  return { object, parameters: { ...options, constraint: { jsonSchema: constraintSchema(object.jsonSchema) } } };
};

/** Parses and validates the object. */
const objectOf = async <T>({ validate }: ObjectSchema<T>, result: GenerationResult): Promise<ObjectResult<T>> => {
  const parsed = parseObject(result);
  const { value, issues } = await validate(parsed).catch((cause: unknown) => {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw invalidOutput(result, `the object could not be validated, its schema failed: ${problem}`, [], cause);
  });
  if (issues === undefined) return { ...result, object: value };
  const [first] = issues;
  const at = first === undefined || first.path === "" ? "" : `${first.path}: `;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : "";
  throw invalidOutput(
    result,
    `the object does not match its schema: ${at}${first?.description ?? "it is refused"}${more}`,
    issues.map(({ path, description }) => ({ field: path, description })),
  );
};

const parseObject = (result: GenerationResult): unknown => {
  try {
    return JSON.parse(result.text) as unknown;
  } catch (cause) {
    const hint = result.finishReason === "max_output_tokens" ? "; it needs a larger maxOutputTokens" : "";
    throw invalidOutput(result, `the output is not valid JSON, it ended with ${result.finishReason}${hint}`, [], cause);
  }
};

const invalidOutput = (
  { generationId, usage, text }: GenerationResult,
  message: string,
  violations: MlxdError["violations"],
  cause?: unknown,
): MlxdError =>
  new MlxdError({
    code: "INTERNAL",
    reason: "INVALID_OUTPUT",
    message,
    violations,
    metadata: { text },
    progress: { generationId, usage, lastSequence: undefined, text },
    cause,
  });
