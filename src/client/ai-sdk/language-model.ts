import type {
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4Content,
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4Usage,
  SharedV4Warning,
} from "@ai-sdk/provider";
import type { MlxdClient } from "../client.ts";
import type { FinishReason } from "../enum-names.ts";
import { type OutputPart, OutputPartWriter } from "../output-parts.ts";
import type { GenerationResult, OutputWarning } from "../results.ts";
import type { GenerationStream } from "../stream.ts";
import type { Usage } from "../usage.ts";
import { abortOr, throwAbort } from "./aborts.ts";
import { readCall } from "./call-options.ts";

/** A language model. */
export const createLanguageModel = (
  client: Pick<MlxdClient, "generate" | "stream">,
  modelId: string,
): LanguageModelV4 => ({
  specificationVersion: "v4",
  provider: "mlxd",
  modelId,
  supportedUrls: { "image/*": [/^https?:\/\//, /^data:/] },

  doGenerate: async (call) => {
    const { input, options, warnings } = readCall(modelId, call);
    const result = await client.generate(input, options).catch(throwAbort(call.abortSignal));
    return {
      content: contentOf(result),
      finishReason: finishReasonOf(result.finishReason),
      usage: usageOf(result.usage),
      response: { id: result.generationId, modelId: result.model, timestamp: new Date() },
      warnings: [...warnings, ...warningsOf(result.warnings)],
    };
  },

  doStream: async (call) => {
    const { input, options, warnings } = readCall(modelId, call);
    const stream = client.stream(input, options);
    // An error before the generation begins rejects the call instead of becoming a part of its stream.
    const first = await stream.next().catch(throwAbort(call.abortSignal));
    const parts = partsOf(stream, first, warnings, call);
    return { stream: readableOf(parts, () => void stream.return()) };
  },
});

const partsOf = async function* (
  stream: GenerationStream,
  first: Awaited<ReturnType<GenerationStream["next"]>>,
  warnings: SharedV4Warning[],
  { abortSignal, includeRawChunks: includeRaw }: LanguageModelV4CallOptions,
): AsyncGenerator<LanguageModelV4StreamPart, void, undefined> {
  yield { type: "stream-start", warnings };
  const writer = new OutputPartWriter();
  try {
    for (let next = first; !next.done; next = await stream.next()) {
      const event = next.value;
      if (includeRaw) yield { type: "raw", rawValue: event };
      if (event.type === "started") {
        yield { type: "response-metadata", id: event.generationId, modelId: event.model, timestamp: new Date() };
      }
      if (event.type === "chunk" && event.candidateIndex === 0)
        for (const part of writer.write(event)) yield named(part);
    }
    const { toolCalls, finishReason, usage } = await stream.collect();
    for (const part of writer.end()) yield named(part);
    for (const { id, name, arguments: input } of toolCalls) {
      yield { type: "tool-call", toolCallId: id, toolName: name, input };
    }
    yield { type: "finish", finishReason: finishReasonOf(finishReason), usage: usageOf(usage) };
  } catch (error) {
    for (const part of writer.end()) yield named(part);
    yield { type: "error", error: abortOr(error, abortSignal) };
  }
};

/** The part with the names of the AI SDK. */
const named = (part: OutputPart): LanguageModelV4StreamPart => {
  switch (part.type) {
    case "tool-start":
      return { type: "tool-input-start", id: part.id, toolName: part.name };
    case "tool-delta":
      return { type: "tool-input-delta", id: part.id, delta: part.delta };
    case "tool-end":
      return { type: "tool-input-end", id: part.id };
    default:
      return part;
  }
};

const readableOf = <T>(parts: AsyncGenerator<T, void, undefined>, leave: () => void): ReadableStream<T> =>
  new ReadableStream<T>({
    pull: async (controller) => {
      const { done, value } = await parts.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: leave,
  });

const contentOf = ({ reasoning, text, toolCalls }: GenerationResult): LanguageModelV4Content[] => [
  ...(reasoning === "" ? [] : [{ type: "reasoning", text: reasoning } as const]),
  ...(text === "" ? [] : [{ type: "text", text } as const]),
  ...toolCalls.map(
    ({ id, name, arguments: input }) => ({ type: "tool-call", toolCallId: id, toolName: name, input }) as const,
  ),
];

const warningsOf = (warnings: readonly OutputWarning[]): SharedV4Warning[] =>
  warnings.map(({ message }) => ({ type: "other", message }));

const unified: Readonly<Record<FinishReason, LanguageModelV4FinishReason["unified"]>> = {
  end_of_sequence: "stop",
  stop_sequence: "stop",
  stop_token: "stop",
  constraint_complete: "stop",
  max_output_tokens: "length",
  context_length: "length",
  time_budget: "length",
  tool_calls: "tool-calls",
  cancelled: "interrupted",
  content_filter: "content-filter",
  unknown: "other",
};

const finishReasonOf = (reason: FinishReason): LanguageModelV4FinishReason => ({
  unified: unified[reason],
  raw: reason,
});

const usageOf = ({ promptTokens, cachedPromptTokens, outputTokens, reasoningTokens }: Usage): LanguageModelV4Usage => ({
  inputTokens: {
    total: promptTokens,
    noCache: promptTokens - cachedPromptTokens,
    cacheRead: cachedPromptTokens,
    cacheWrite: undefined,
  },
  outputTokens: {
    total: outputTokens,
    text: outputTokens - (reasoningTokens ?? 0),
    reasoning: reasoningTokens,
  },
});
