/** Converts a conversation to a request of OpenAI's chat completions API. */
import { type BackendEngine, type BackendPreset, backendPresets } from "../../domain/backend-presets.ts";
import { heededParameters } from "../../domain/conversation-options.ts";
import type { ChatInput, ToolChoice } from "../../domain/conversation.ts";
import type { EffectiveParameters } from "../../domain/generation-task.ts";
import { present } from "../../domain/present.ts";
import type { ConversationRequest } from "../Engine.ts";

/** @param model the model's name at the server */
export const chatRequest = (
  model: string,
  engine: BackendEngine,
  chat: ChatInput,
  { parameters, reasoning, constraint }: Pick<ConversationRequest, "parameters" | "reasoning" | "constraint">,
): string => {
  const preset: BackendPreset = backendPresets[engine];
  return JSON.stringify({
    model,
    messages: chat.messages.map((message) => messageOf(message, engine)),
    stream: true,
    stream_options: { include_usage: true },
    ...samplingOf(parameters, preset),
    ...(chat.tools.length > 0 && {
      tools: chat.tools.map(({ name, description, parameters: schema }) => ({
        type: "function",
        function: { name, description, parameters: schema ?? { type: "object", properties: {} } },
      })),
      ...(chat.toolChoice.mode !== "auto" && { tool_choice: toolChoiceOf(chat.toolChoice) }),
    }),
    ...(reasoning.effort !== undefined && { reasoning_effort: reasoning.effort }),
    ...(preset.jsonSchema === true && present({ response_format: responseFormatOf(constraint) })),
  });
};

type Message = ChatInput["messages"][number];

/** Earlier reasoning is left out, as it is by chat templates. */
const messageOf = ({ role, content, toolCalls, toolCallId, name }: Message, engine: BackendEngine) => {
  const text = content.map((part) => (part.type === "text" ? part.text : "")).join("");
  return present({
    // Only OpenAI's own models distinguish the two roles.
    role: role === "developer" && engine !== "openai" ? "system" : role,
    content: text === "" && toolCalls.length > 0 ? null : text,
    name: name === "" || role === "tool" ? undefined : name,
    tool_call_id: role === "tool" ? toolCallId : undefined,
    tool_calls:
      toolCalls.length === 0
        ? undefined
        : toolCalls.map((call) => ({
            id: call.id,
            type: "function",
            function: { name: call.name, arguments: call.arguments },
          })),
  });
};

/** Options with the server's default value are left out, because some models refuse options that others have. */
const samplingOf = (parameters: EffectiveParameters, { options, outputLimit }: BackendPreset) => {
  const heeded = new Set(options);
  const sent = heededParameters(parameters, heeded);
  const { temperature, topP, topK, minP, repetitionPenalty, presencePenalty, frequencyPenalty, stopSequences } = sent;
  return present({
    temperature,
    top_p: topP === 1 ? undefined : topP,
    top_k: topK,
    min_p: minP > 0 ? minP : undefined,
    repetition_penalty: repetitionPenalty === 1 ? undefined : repetitionPenalty,
    presence_penalty: presencePenalty === 0 ? undefined : presencePenalty,
    frequency_penalty: frequencyPenalty === 0 ? undefined : frequencyPenalty,
    // 31 bits, because some servers read it as a signed number.
    seed: heeded.has("sampling.seed") ? sent.seed & 0x7fff_ffff : undefined,
    stop: stopSequences.length > 0 ? stopSequences : undefined,
    [outputLimit]: sent.maxOutputTokens,
  });
};

const responseFormatOf = (constraint: ConversationRequest["constraint"]) => {
  if (constraint?.type === "json-object") return { type: "json_object" };
  if (constraint?.type !== "json-schema") return undefined;
  // The text is valid JSON: it was parsed when the validator of the answer was made.
  const schema: unknown = JSON.parse(constraint.schema);
  return { type: "json_schema", json_schema: { name: "answer", schema } };
};

const toolChoiceOf = (choice: ToolChoice) =>
  choice.mode === "function" ? { type: "function", function: { name: choice.name } } : choice.mode;
