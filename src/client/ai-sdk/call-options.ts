import type { LanguageModelV4CallOptions, SharedV4Warning } from "@ai-sdk/provider";
import { constraintSchema } from "../objects/constraint-schema.ts";
import type { GenerationOptions } from "../generation-options.ts";
import type { ChatInput, JsonSchema, Tool, ToolChoice } from "../messages.ts";
import { messagesOf } from "./messages.ts";

/** A call in the client's terms, with warnings about what is not supported. */
export interface ReadCall {
  readonly input: ChatInput;
  readonly options: GenerationOptions;
  readonly warnings: SharedV4Warning[];
}

/** Reads the options of a call. */
export const readCall = (modelId: string, call: LanguageModelV4CallOptions): ReadCall => {
  const warnings: SharedV4Warning[] = [];
  const tools = toolsOf(call, warnings);
  const thinks = call.reasoning !== "none";
  return {
    input: {
      messages: messagesOf(call.prompt, warnings),
      ...(tools.length > 0 && { tools }),
      ...(call.toolChoice !== undefined && tools.length > 0 && { toolChoice: toolChoiceOf(call.toolChoice) }),
      ...(!thinks && { templateOptions: { enable_thinking: false } }),
    },
    options: {
      ...parametersOf(call),
      ...reasoningOf(call.reasoning, warnings),
      ...constraintOf(call, tools.length > 0 && call.toolChoice?.type !== "none", warnings),
      ...call.providerOptions?.["mlxd"],
      ...(modelId !== "" && { model: modelId }),
      signal: call.abortSignal,
      headers: presentHeaders(call.headers),
    },
    warnings,
  };
};

/** The headers that have a value. */
export const presentHeaders = (headers: Readonly<Record<string, string | undefined>> = {}): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));

const parametersOf = (call: LanguageModelV4CallOptions): GenerationOptions => {
  const { maxOutputTokens, temperature, topP, topK, presencePenalty, frequencyPenalty, seed, stopSequences } = call;
  return { maxOutputTokens, temperature, topP, topK, presencePenalty, frequencyPenalty, seed, stopSequences };
};

const toolsOf = ({ tools = [] }: LanguageModelV4CallOptions, warnings: SharedV4Warning[]): Tool[] =>
  tools.flatMap((tool): Tool[] => {
    if (tool.type === "provider") {
      warnings.push({ type: "unsupported", feature: `provider-defined tool ${tool.id}` });
      return [];
    }
    const { name, description } = tool;
    const parameters = jsonSchemaOf(tool.inputSchema);
    return [{ name, ...(description !== undefined && { description }), parameters }];
  });

/** Its type is that of another package, which is not always installed. */
const jsonSchemaOf = (schema: unknown): JsonSchema => schema as JsonSchema;

const toolChoiceOf = (choice: NonNullable<LanguageModelV4CallOptions["toolChoice"]>): ToolChoice =>
  choice.type === "tool" ? { function: choice.toolName } : choice.type;

const constraintOf = (
  { responseFormat }: LanguageModelV4CallOptions,
  mayCallTools: boolean,
  warnings: SharedV4Warning[],
): GenerationOptions => {
  if (responseFormat?.type !== "json") return {};
  if (mayCallTools) {
    const details = "an output cannot be constrained to a schema while tools may be called";
    warnings.push({ type: "unsupported", feature: "responseFormat", details });
    return {};
  }
  if (responseFormat.schema === undefined) return { constraint: { jsonObject: true } };
  return { constraint: { jsonSchema: constraintSchema(jsonSchemaOf(responseFormat.schema)) } };
};

const reasoningOf = (
  reasoning: LanguageModelV4CallOptions["reasoning"],
  warnings: SharedV4Warning[],
): GenerationOptions => {
  switch (reasoning) {
    case undefined:
    case "provider-default":
    case "none":
      return {};
    case "low":
    case "medium":
    case "high":
      return { reasoning: { effort: reasoning } };
    default: {
      const effort = reasoning === "minimal" ? "low" : "high";
      warnings.push({ type: "compatibility", feature: "reasoning", details: `${reasoning} is treated as ${effort}` });
      return { reasoning: { effort } };
    }
  }
};
