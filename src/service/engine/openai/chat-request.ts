/** Converts a conversation to a request of OpenAI's chat completions API. */
import { type BackendEngine, type BackendPreset, backendPresets } from "../../domain/backend-presets.ts";
import type { ConversationOption } from "../../domain/conversation-options.ts";
import type { ChatInput, ToolChoice } from "../../domain/conversation.ts";
import { present } from "../../domain/present.ts";
import type { ConversationRequest } from "../Engine.ts";
import { type Encode, imageUrl } from "../backends/image-url.ts";
import { samplingOf, streaming } from "./request-options.ts";

/**
 * @param model the model's name at the server
 * @param unsupported options that this model does not support, beside those of its engine
 * @param encode of images; called in the order in which they are in the request
 */
export const chatRequest = (
  model: string,
  engine: BackendEngine,
  chat: ChatInput,
  {
    parameters,
    reasoning,
    constraint,
    topLogprobs,
  }: Pick<ConversationRequest, "parameters" | "reasoning" | "constraint" | "topLogprobs">,
  unsupported: ReadonlySet<ConversationOption>,
  encode?: Encode,
): string => {
  const preset: BackendPreset = backendPresets[engine];
  return JSON.stringify({
    model,
    messages: chat.messages.map((message) => messageOf(message, engine, encode)),
    ...streaming,
    ...samplingOf(parameters, preset, unsupported),
    ...(chat.tools.length > 0 && {
      tools: chat.tools.map(({ name, description, parameters: schema }) => ({
        type: "function",
        function: { name, description, parameters: schema ?? { type: "object", properties: {} } },
      })),
      ...(chat.toolChoice.mode !== "auto" && { tool_choice: toolChoiceOf(chat.toolChoice) }),
    }),
    ...(topLogprobs !== undefined && { logprobs: true, ...(topLogprobs > 0 && { top_logprobs: topLogprobs }) }),
    ...(reasoning.effort !== undefined && { reasoning_effort: reasoning.effort }),
    ...(preset.jsonSchema === true && present({ response_format: responseFormatOf(constraint) })),
  });
};

type Message = ChatInput["messages"][number];

/** Earlier reasoning is left out, as it is by chat templates. */
const messageOf = ({ role, content, toolCalls, toolCallId, name }: Message, engine: BackendEngine, encode?: Encode) => {
  const written = contentOf(content, encode);
  return present({
    // Only OpenAI's own models distinguish the two roles.
    role: role === "developer" && engine !== "openai" ? "system" : role,
    content: written === "" && toolCalls.length > 0 ? null : written,
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

/** Text without images is sent as a string, because not every server supports content parts. */
const contentOf = (content: Message["content"], encode?: Encode) =>
  content.every((part) => part.type === "text")
    ? content.map(({ text }) => text).join("")
    : content.map((part) =>
        part.type === "text"
          ? { type: "text", text: part.text }
          : { type: "image_url", image_url: { url: imageUrl(part, encode) } },
      );

const responseFormatOf = (constraint: ConversationRequest["constraint"]) => {
  if (constraint?.type === "json-object") return { type: "json_object" };
  if (constraint?.type !== "json-schema") return undefined;
  // The text is valid JSON: it was parsed when the validator of the answer was made.
  const schema: unknown = JSON.parse(constraint.schema);
  return { type: "json_schema", json_schema: { name: "answer", schema } };
};

const toolChoiceOf = (choice: ToolChoice) =>
  choice.mode === "function" ? { type: "function", function: { name: choice.name } } : choice.mode;
