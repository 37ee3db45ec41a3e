/** Turns the inputs of an embedding task into token ids. */
import { Effect } from "effect";

import type { EmbeddingTask, Pooling } from "../domain/embedding.ts";
import {
  ContextLengthExceeded,
  type FieldViolation,
  InvalidField,
  ModelRevisionMismatch,
  UnsupportedParameter,
  UnsupportedTask,
} from "../domain/errors.ts";
import type { ModelFacts } from "../domain/model.ts";
import { numbersOf } from "../domain/numbers-of.ts";
import type { PromptTools } from "../models/prompting/PromptTools.ts";
import type { TextFailure } from "../models/prompting/texts.ts";
import type { Encoded, TooLong } from "../prompt/encode-within.ts";

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
  | TextFailure
  | UnsupportedParameter
  | UnsupportedTask;

/** Checks first whether the model supports what the task asks for. */
export const prepareInputs = Effect.fn("prepareInputs")(function* (
  task: EmbeddingTask,
  tools: PromptTools,
): Effect.fn.Return<PreparedInputs, InputFailure> {
  const pooling = yield* checkTask(task, tools.facts);
  const encoded = yield* encodeTexts(task, tools);
  const inputs: PreparedInput[] = [];
  let total = 0;
  for (const [index, input] of task.inputs.entries()) {
    const prepared = yield* input.type === "tokens"
      ? prepareTokens(input.ids, index, task.truncate, tools.facts)
      : prepareText(encoded.shift(), index, tools.facts);
    inputs.push(prepared);
    total += prepared.tokenIds.length;
    if (total > maxTokens) {
      const description = `the first ${index + 1} have ${total} tokens; all together must not have more than ${maxTokens}`;
      return yield* new InvalidField({ violations: [{ field: "inputs", description }] });
    }
  }
  return { inputs, pooling };
});

/** Tokens of one call at most: it bounds how long one caller keeps the engine busy. */
const maxTokens = 262_144;

const checkTask = (
  { modelRevision: asked, pooling, dimensions }: EmbeddingTask,
  { id: model, revision, embedding }: ModelFacts,
): Effect.Effect<Pooling, ModelRevisionMismatch | UnsupportedTask | UnsupportedParameter | InvalidField> => {
  if (asked !== undefined && asked !== revision) {
    return Effect.fail(new ModelRevisionMismatch({ model, asked, loaded: revision }));
  }
  if (embedding.problem !== undefined) {
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

const encodeTexts = ({ inputs, truncate }: EmbeddingTask, { texts, facts }: PromptTools) => {
  const own = inputs.flatMap((input) => (input.type === "text" ? [input.text] : []));
  const field = inputs.length === 1 ? "inputs[0].text" : "inputs";
  if (own.length === 0) return Effect.succeed([]);
  const options = { field, addSpecialTokens: true, truncate, limit: facts.contextLength };
  return Effect.map(texts.encode(own, options), (encoded) => [...encoded]);
};

const prepareTokens = (
  ids: ReadonlyArray<number>,
  index: number,
  truncate: boolean,
  facts: ModelFacts,
): Effect.Effect<PreparedInput, ContextLengthExceeded | InvalidField> => {
  const { contextLength } = facts;
  const violation = tokenViolation(ids, index, facts);
  if (violation !== undefined) return Effect.fail(new InvalidField({ violations: [violation] }));
  if (ids.length > contextLength && !truncate)
    return tooLong(`inputs[${index}].tokens`, ids.length, contextLength, false);
  const tokenIds = ids.slice(0, contextLength);
  return Effect.succeed({ tokenIds, truncated: tokenIds.length < ids.length });
};

const prepareText = (
  encoded: Encoded | TooLong | undefined,
  index: number,
  { contextLength }: ModelFacts,
): Effect.Effect<PreparedInput, ContextLengthExceeded | InvalidField> => {
  const field = `inputs[${index}].text`;
  if (encoded !== undefined && "atLeast" in encoded) return tooLong(field, encoded.atLeast, contextLength, true);
  const tokenIds = encoded === undefined ? [] : numbersOf(encoded.tokenIds);
  if (tokenIds.length > contextLength) return tooLong(field, tokenIds.length, contextLength, false);
  if (tokenIds.length > 0) return Effect.succeed({ tokenIds, truncated: encoded?.truncated === true });
  return Effect.fail(new InvalidField({ violations: [{ field, description: "it has no tokens" }] }));
};

const tooLong = (field: string, promptTokens: number, contextLength: number, estimated: boolean) =>
  Effect.fail(new ContextLengthExceeded({ promptTokens, maxOutputTokens: 0, contextLength, estimated, field }));

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
