/** Converts a conversation to a request of Anthropic's messages API. */
import { backendPresets } from "../../domain/backend-presets.ts";
import { type ConversationOption, heededParameters } from "../../domain/conversation-options.ts";
import type { ChatInput, ToolChoice } from "../../domain/conversation.ts";
import type { EffectiveParameters, ReasoningOptions } from "../../domain/generation-task.ts";
import { present } from "../../domain/present.ts";
import { base64Of, type Encode } from "../backends/image-url.ts";
import type { ConversationRequest } from "../Engine.ts";

/**
 * @param model the model's name at the server
 * @param unsupported options that this model does not support, beside those of its engine
 * @param encode of images; called in the order in which they are in the request
 */
export const messagesRequest = (
  model: string,
  chat: ChatInput,
  { parameters: wanted, reasoning }: Pick<ConversationRequest, "parameters" | "reasoning">,
  unsupported: ReadonlySet<ConversationOption>,
  encode?: Encode,
): string => {
  const heeded = new Set<ConversationOption>(backendPresets.anthropic.options).difference(unsupported);
  const parameters = heededParameters(wanted, heeded);
  return JSON.stringify({
    model,
    messages: messagesOf(chat, encode),
    stream: true,
    ...present({ system: systemOf(chat) }),
    max_tokens: parameters.maxOutputTokens,
    ...(parameters.stopSequences.length > 0 && { stop_sequences: parameters.stopSequences }),
    ...samplingOf(parameters, reasoning, heeded),
    ...(chat.tools.length > 0 && {
      tools: chat.tools.map(({ name, description, parameters: schema }) => ({
        name,
        description,
        input_schema: schema ?? { type: "object", properties: {} },
      })),
      ...(chat.toolChoice.mode !== "auto" && { tool_choice: toolChoiceOf(chat.toolChoice) }),
    }),
  });
};

type Message = ChatInput["messages"][number];

type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly source: Readonly<Record<string, string>> }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly input: unknown }
  | { readonly type: "tool_result"; readonly tool_use_id: string; readonly content: string };

interface Turn {
  readonly role: "assistant" | "user";
  readonly content: Block[];
}

/** The API has a separate field for system text, wherever it is in the conversation. */
const systemOf = ({ messages }: ChatInput): string | undefined => {
  const texts = messages.filter(isSystem).map(textOf);
  return texts.length === 0 ? undefined : texts.join("\n\n");
};

/**
 * In the API, user and assistant messages alternate: consecutive messages of one role, and consecutive results of
 * calls, are joined.
 */
const messagesOf = ({ messages }: ChatInput, encode?: Encode) => {
  const turns: Turn[] = [];
  for (const message of messages) {
    if (isSystem(message)) continue;
    const role = message.role === "assistant" ? "assistant" : "user";
    const last = turns.at(-1);
    const turn: Turn = last?.role === role ? last : { role, content: [] };
    if (turn !== last) turns.push(turn);
    turn.content.push(...blocksOf(message, encode));
  }
  // The API refuses messages without content.
  return turns.filter(({ content }) => content.length > 0);
};

const isSystem = ({ role }: Message): boolean => role === "system" || role === "developer";

const textOf = ({ content }: Message): string =>
  content.map((part) => (part.type === "text" ? part.text : "")).join("");

/** Earlier reasoning is left out, because it would have to be signed. */
const blocksOf = (message: Message, encode?: Encode): ReadonlyArray<Block> => {
  if (message.role === "tool") {
    return [{ type: "tool_result", tool_use_id: message.toolCallId, content: textOf(message) }];
  }
  return [
    ...contentOf(message, encode),
    ...message.toolCalls.map(({ id, name, arguments: json }) => ({
      type: "tool_use" as const,
      id,
      name,
      input: inputOf(json),
    })),
  ];
};

/** Texts in a row are one block. */
const contentOf = ({ content }: Message, encode?: Encode): ReadonlyArray<Block> => {
  const blocks: Block[] = [];
  let text = "";
  const endText = () => {
    if (text !== "") blocks.push({ type: "text", text });
    text = "";
  };
  for (const part of content) {
    if (part.type === "text") text += part.text;
    else {
      endText();
      blocks.push({ type: "image", source: imageSourceOf(part, encode) });
    }
  }
  endText();
  return blocks;
};

const imageSourceOf = (
  { source }: Extract<Message["content"][number], { readonly type: "image" }>,
  encode?: Encode,
) => {
  if ("url" in source) return { type: "url", url: source.url };
  const { mediaType, text } = base64Of(source.data, encode);
  return { type: "base64", media_type: mediaType, data: text };
};

/** The API requires an object; any other value is passed unchanged. */
const inputOf = (json: string): unknown => {
  if (json.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch {
    // The model did not write JSON.
  }
  return { arguments: json };
};

/** With extended thinking, the API refuses sampling options. */
const samplingOf = (
  { temperature, topP, topK }: EffectiveParameters,
  { maxTokens = 0 }: ReasoningOptions,
  heeded: ReadonlySet<ConversationOption>,
) =>
  maxTokens > 0
    ? { thinking: { type: "enabled", budget_tokens: maxTokens } }
    : present({
        temperature: heeded.has("sampling.temperature") ? temperature : undefined,
        top_p: topP === 1 ? undefined : topP,
        top_k: topK,
      });

const toolChoiceOf = (choice: ToolChoice) => {
  switch (choice.mode) {
    case "function":
      return { type: "tool", name: choice.name };
    case "required":
      return { type: "any" };
    default:
      return { type: choice.mode };
  }
};
