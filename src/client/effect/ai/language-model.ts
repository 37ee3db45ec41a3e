import { Effect, Layer, Stream } from "effect";
import { type AiError, LanguageModel, Model, type Response } from "effect/ai";
import type { FinishReason } from "../../enum-names.ts";
import type { GenerationEvent } from "../../events.ts";
import type { GenerationParameters } from "../../parameters.ts";
import { type OutputPart, OutputPartWriter } from "../../output-parts.ts";
import type { GenerationResult, ToolCall } from "../../results.ts";
import type { Usage } from "../../usage.ts";
import { Mlxd, type MlxdService } from "../index.ts";
import { toAiError } from "./ai-errors.ts";
import { readCall } from "./call.ts";

/** Options of a model. */
export interface LanguageModelOptions extends Omit<GenerationParameters, "constraint" | "candidateCount" | "model"> {
  /**
   * Id or alias of the model.
   * @default the client's `defaultModel`, or else the service's default model
   */
  readonly model?: string | undefined;
}

/** A `LanguageModel` over a client. */
export const createLanguageModel = (
  mlxd: Pick<MlxdService, "generate" | "stream">,
  options: LanguageModelOptions = {},
): Effect.Effect<LanguageModel.LanguageModel> =>
  LanguageModel.make({
    generateText: (asked) => {
      const failing = toAiError("generateText");
      return Effect.try({ try: () => readCall(asked), catch: failing }).pipe(
        Effect.flatMap(({ input, parameters }) =>
          mlxd.generate(input, { ...options, ...parameters }).pipe(Effect.mapError(failing)),
        ),
        Effect.map(partsOfResult),
      );
    },
    streamText: (asked) => {
      const failing = toAiError("streamText");
      return Stream.unwrap(
        Effect.try({ try: () => readCall(asked), catch: failing }).pipe(
          Effect.map(({ input, parameters }) => {
            const reader = new EventReader();
            return mlxd.stream(input, { ...options, ...parameters }).pipe(
              Stream.mapError(failing),
              Stream.flatMap((event): Stream.Stream<Response.StreamPartEncoded, AiError.AiError> =>
                Stream.fromIterable([...reader.read(event)]),
              ),
            );
          }),
        ),
      );
    },
  });

/** A layer with a `LanguageModel` that uses the service {@link Mlxd}. */
export const layerLanguageModel = (
  options: LanguageModelOptions = {},
): Layer.Layer<LanguageModel.LanguageModel, never, Mlxd> =>
  Layer.effect(
    LanguageModel.LanguageModel,
    Effect.flatMap(Mlxd, (mlxd) => createLanguageModel(mlxd, options)),
  );

/** A model of `effect/ai`, with its provider and name: a layer that can be provided to a program or a part of it. */
export const languageModel = <const Name extends string>(
  name: Name,
  options: Omit<LanguageModelOptions, "model"> = {},
): Model.Model<"mlxd", LanguageModel.LanguageModel, Mlxd> =>
  Model.make("mlxd", name, layerLanguageModel({ ...options, model: name }));

const partsOfResult = (result: GenerationResult): Response.PartEncoded[] => [
  metadataOf(result),
  ...(result.reasoning === "" ? [] : [{ type: "reasoning", text: result.reasoning } as const]),
  ...(result.text === "" ? [] : [{ type: "text", text: result.text } as const]),
  ...result.toolCalls.map(callOf),
  finishOf(result),
];

const metadataOf = (of: { readonly generationId: string; readonly model: string }) =>
  ({
    type: "response-metadata",
    id: of.generationId,
    modelId: of.model,
    timestamp: undefined,
    request: undefined,
  }) as const;

/** The service only sends complete calls, whose arguments are valid JSON. */
const callOf = ({ id, name, arguments: params }: Pick<ToolCall, "id" | "name" | "arguments">) =>
  ({ type: "tool-call", id, name, params: JSON.parse(params) as unknown }) as const;

const finishOf = ({ finishReason, usage }: { readonly finishReason: FinishReason; readonly usage: Usage }) =>
  ({ type: "finish", reason: reasons[finishReason], usage: usageOf(usage), response: undefined }) as const;

const reasons = {
  end_of_sequence: "stop",
  stop_sequence: "stop",
  stop_token: "stop",
  constraint_complete: "stop",
  max_output_tokens: "length",
  context_length: "length",
  time_budget: "length",
  tool_calls: "tool-calls",
  cancelled: "other",
  content_filter: "content-filter",
  unknown: "unknown",
} as const satisfies Readonly<Record<FinishReason, string>>;

const usageOf = ({ promptTokens, cachedPromptTokens, outputTokens, reasoningTokens }: Usage) => ({
  inputTokens: {
    total: promptTokens,
    uncached: promptTokens - cachedPromptTokens,
    cacheRead: cachedPromptTokens,
    cacheWrite: undefined,
  },
  outputTokens: {
    total: outputTokens,
    text: outputTokens - (reasoningTokens ?? 0),
    reasoning: reasoningTokens,
  },
});

/** Converts the events of one stream to parts. */
class EventReader {
  readonly #writer = new OutputPartWriter();
  readonly #calls = new Map<number, { readonly id: string; readonly name: string; arguments: string }>();

  *read(event: GenerationEvent): Generator<Response.StreamPartEncoded, void, undefined> {
    switch (event.type) {
      case "started":
        return yield metadataOf(event);
      case "chunk":
        for (const part of this.#writer.write(event)) yield named(part);
        for (const { index, id, name, arguments: delta } of event.toolCalls) {
          const call = this.#calls.get(index);
          if (call === undefined) this.#calls.set(index, { id, name, arguments: delta });
          else call.arguments += delta;
        }
        return;
      case "finished":
        for (const part of this.#writer.end()) yield named(part);
        for (const call of this.#calls.values()) yield callOf(call);
        yield finishOf(event);
    }
  }
}

/** The part with the names of `effect/ai`. */
const named = (part: OutputPart): Response.StreamPartEncoded => {
  switch (part.type) {
    case "tool-start":
      return { type: "tool-params-start", id: part.id, name: part.name };
    case "tool-delta":
      return { type: "tool-params-delta", id: part.id, delta: part.delta };
    case "tool-end":
      return { type: "tool-params-end", id: part.id };
    default:
      return part;
  }
};
