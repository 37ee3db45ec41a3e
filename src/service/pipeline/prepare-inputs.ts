/** From the inputs of an embedding task to the token ids that its vectors are made of. */
import { Effect } from "effect";

import type { EmbeddingInput, EmbeddingTask, Pooling } from "../domain/embedding.ts";
import {
  ContextLengthExceeded,
  type FieldViolation,
  InvalidField,
  ModelRevisionMismatch,
  UnsupportedParameter,
  UnsupportedTask,
} from "../domain/errors.ts";
import type { ModelFacts } from "../domain/model.ts";
import type { PromptTools } from "../models/Models.ts";
import { encodeWithin } from "../prompt/encode-within.ts";
import type { Tokenizer } from "../prompt/Tokenizer.ts";

export interface PreparedInputs {
  readonly inputs: ReadonlyArray<PreparedInput>;
  readonly pooling: Pooling;
}

interface PreparedInput {
  readonly tokenIds: ReadonlyArray<number>;
  readonly truncated: boolean;
}

type InputFailure =
  | ContextLengthExceeded
  | InvalidField
  | ModelRevisionMismatch
  | UnsupportedParameter
  | UnsupportedTask;

/** What the task asks of this model is checked first. Between two texts the running streams get their turn. */
export const prepareInputs = Effect.fn("prepareInputs")(function* (
  task: EmbeddingTask,
  tools: PromptTools,
): Effect.fn.Return<PreparedInputs, InputFailure> {
  const pooling = yield* checkTask(task, tools.facts);
  const inputs: PreparedInput[] = [];
  let total = 0;
  for (const [index, input] of task.inputs.entries()) {
    yield* Effect.yieldNow;
    const prepared = yield* prepareInput(input, index, task.truncate, tools);
    inputs.push(prepared);
    total += prepared.tokenIds.length;
    if (total > maxTokens) {
      const description = `the first ${index + 1} have ${total} tokens; all together must not have more than ${maxTokens}`;
      return yield* new InvalidField({ violations: [{ field: "inputs", description }] });
    }
  }
  return { inputs, pooling };
});

/** Of one call: what a caller may keep the engine busy with. */
const maxTokens = 262_144;

const checkTask = (
  { modelRevision: asked, pooling, dimensions }: EmbeddingTask,
  { id: model, revision, embedding }: ModelFacts,
): Effect.Effect<Pooling, ModelRevisionMismatch | UnsupportedTask | UnsupportedParameter | InvalidField> => {
  if (asked !== undefined && asked !== revision) {
    return Effect.fail(new ModelRevisionMismatch({ model, asked, loaded: revision }));
  }
  if (embedding.problem !== "") {
    return Effect.fail(new UnsupportedTask({ task: "embeddings", model, hint: embedding.problem }));
  }
  const refuse = (field: string, hint: string) => Effect.fail(new UnsupportedParameter({ field, model, hint }));
  if (pooling === "first-token" && embedding.pooling !== pooling) {
    return refuse("pooling", "its first token has seen nothing of the text");
  }
  if (dimensions === undefined || dimensions === embedding.dimensions) {
    return Effect.succeed(pooling ?? embedding.pooling);
  }
  const { matryoshka } = embedding;
  if (matryoshka === undefined) {
    const hint = `its vectors have ${embedding.dimensions} numbers, and config.json does not say that they may be cut`;
    return refuse("dimensions", hint);
  }
  const problem = dimensionsProblem(dimensions, embedding.dimensions, matryoshka);
  if (problem === undefined) return Effect.succeed(pooling ?? embedding.pooling);
  return Effect.fail(new InvalidField({ violations: [{ field: "dimensions", description: problem }] }));
};

const dimensionsProblem = (asked: number, most: number, known: ReadonlyArray<number>): string | undefined => {
  if (asked > most) return `${asked} is out of range; it must not be over ${most}`;
  if (known.length === 0 || known.includes(asked)) return undefined;
  return `${asked} is not allowed; it must be one of ${[...known, most].join(", ")}`;
};

const prepareInput = (
  input: EmbeddingInput,
  index: number,
  truncate: boolean,
  { tokenizer, facts }: PromptTools,
): Effect.Effect<PreparedInput, ContextLengthExceeded | InvalidField> => {
  const { contextLength } = facts;
  if (input.type === "tokens") {
    const violation = tokenViolation(input.ids, index, facts);
    if (violation !== undefined) return Effect.fail(new InvalidField({ violations: [violation] }));
    if (input.ids.length > contextLength && !truncate) return tooLong(input.ids.length, contextLength, false);
    const tokenIds = input.ids.slice(0, contextLength);
    return Effect.succeed({ tokenIds, truncated: tokenIds.length < input.ids.length });
  }
  const encoded = encodeWithin(tokenizer, input.text, { addSpecialTokens: true }, contextLength);
  if (encoded._tag === "Success" && encoded.success.length <= contextLength) {
    if (encoded.success.length > 0) return Effect.succeed({ tokenIds: encoded.success, truncated: false });
    const field = `inputs[${index}].text`;
    return Effect.fail(new InvalidField({ violations: [{ field, description: "it has no tokens" }] }));
  }
  if (truncate) return Effect.succeed({ tokenIds: truncated(tokenizer, input.text, contextLength), truncated: true });
  return encoded._tag === "Success"
    ? tooLong(encoded.success.length, contextLength, false)
    : tooLong(encoded.failure, contextLength, true);
};

const tooLong = (promptTokens: number, contextLength: number, estimated: boolean) =>
  Effect.fail(new ContextLengthExceeded({ promptTokens, maxOutputTokens: 0, contextLength, estimated }));

/** The beginning of a text within its special tokens: a model that looks at an end token has to find it. */
const truncated = (tokenizer: Tokenizer, text: string, limit: number): ReadonlyArray<number> => {
  const around = tokenizer.encode(text, { addSpecialTokens: true });
  const within = tokenizer.encode(text, { addSpecialTokens: false });
  const specials = around.length - within.length;
  const startsAt = (at: number): boolean => within.slice(0, 8).every((id, index) => around[at + index] === id);
  const before = Array.from({ length: specials + 1 }, (_, at) => at).find(startsAt) ?? 0;
  const kept = Math.max(0, limit - specials);
  return [...around.slice(0, before), ...within.slice(0, kept), ...around.slice(before + within.length)].slice(
    0,
    limit,
  );
};

const tokenViolation = (
  ids: ReadonlyArray<number>,
  index: number,
  { vocabularySize, id: model }: ModelFacts,
): FieldViolation | undefined => {
  const place = ids.findIndex((id) => id >= vocabularySize);
  if (place < 0) return undefined;
  const description = `${ids[place]} is no token of model "${model}", whose vocabulary has ${vocabularySize}`;
  return { field: `inputs[${index}].tokens.ids[${place}]`, description };
};
