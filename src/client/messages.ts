import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import { enumValue, type Role } from "./enum-names.ts";
import { invalidField } from "./errors.ts";
import {
  type ChatInputSchema,
  type ChatMessageSchema,
  type ContentPartSchema,
  Role as RoleEnum,
  ToolChoice_Mode,
  type ToolChoiceSchema,
} from "./gen/mlxd/v1/types_pb.ts";
import type { Candidate, ToolCall } from "./results.ts";

/** A piece of a message. */
export type ContentPart = TextPart | ImagePart;

/** Text. */
export interface TextPart {
  readonly type: "text";
  readonly text: string;
}

/** An image by value or by reference, for models that see. */
export interface ImagePart {
  readonly type: "image";
  /** The encoded file, or an http, https or data URL. */
  readonly image: Uint8Array | URL | string;
  /**
   * Its media type, e.g. `image/png`.
   * @default read from the data
   */
  readonly mediaType?: string | undefined;
}

/** One message of a conversation. */
export interface ChatMessage {
  /** Who says it. */
  readonly role: Role;
  /**
   * What is said. A text stands for one text part.
   * @default nothing, for an assistant's message that only calls tools
   */
  readonly content?: string | readonly ContentPart[] | undefined;
  /** An assistant's message: the calls it made. */
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /** A tool's message: the id of the call that it answers. */
  readonly toolCallId?: string | undefined;
  /** The name of the speaker or of the tool, where the model's template uses it. */
  readonly name?: string | undefined;
  /** An assistant's message: the reasoning that preceded it, where the model's template uses it. */
  readonly reasoning?: string | undefined;
}

/** A function that the model may call. */
export interface Tool {
  /** Its name: letters, digits, `_`, `-`, `.`; at most 64 bytes. */
  readonly name: string;
  /** What it does, told to the model. */
  readonly description?: string | undefined;
  /** The JSON Schema of its arguments. */
  readonly parameters?: JsonSchema | undefined;
}

/** Whether and which tool is to be called. */
export type ToolChoice = "auto" | "none" | "required" | { readonly function: string };

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON Schema. */
export type JsonSchema = { readonly [key: string]: Json };

/** A conversation. */
export interface ChatInput {
  /** The messages in order, at least one. The service keeps no history: the caller does. */
  readonly messages: readonly ChatMessage[];
  /** Functions that the model may call. */
  readonly tools?: readonly Tool[] | undefined;
  /**
   * Whether and which tool is to be called.
   * @default "auto"
   */
  readonly toolChoice?: ToolChoice | undefined;
  /** Extra variables for the model's chat template, e.g. `{ enable_thinking: false }`. */
  readonly templateOptions?: { readonly [name: string]: Json } | undefined;
  /**
   * Go on with the last message as it stands, instead of opening the assistant's turn.
   * @default false
   */
  readonly continueFinalMessage?: boolean | undefined;
}

/** What the model said, as the conversation's next message: text, reasoning and calls. */
export const assistantMessage = ({ text, reasoning, toolCalls }: Said): ChatMessage => ({
  role: "assistant",
  ...(text !== "" && { content: text }),
  ...(reasoning !== "" && { reasoning }),
  ...(toolCalls.length > 0 && { toolCalls }),
});

/** The parts of a result that a conversation goes on with. */
type Said = Pick<Candidate, "text" | "reasoning" | "toolCalls">;

/** The answer to a call: a text, or a value that is written as JSON. */
export const toolMessage = ({ id, name }: ToolCall, result: Json): ChatMessage => ({
  role: "tool",
  toolCallId: id,
  name,
  content: typeof result === "string" ? result : JSON.stringify(result),
});

/** The conversation as the service takes it. */
export const chatToWire = (chat: ChatInput): MessageInitShape<typeof ChatInputSchema> => ({
  messages: chat.messages.map((message, index) => messageToWire(message, `task.chat.messages[${index}]`)),
  tools: (chat.tools ?? []).map(({ name, description = "", parameters }) => ({
    name,
    description,
    ...(parameters && { parameters: jsonToWire(parameters) }),
  })),
  ...(chat.toolChoice !== undefined && { toolChoice: toolChoiceToWire(chat.toolChoice) }),
  ...(chat.templateOptions && { templateOptions: jsonToWire(chat.templateOptions) }),
  continueFinalMessage: chat.continueFinalMessage ?? false,
});

/** Refuses text that UTF-8 cannot hold: half of a surrogate pair would silently become U+FFFD. */
export const assertWellFormed = (text: string, field: string): void => {
  if (!text.isWellFormed()) throw invalidField(field, "the text has half of a surrogate pair; was it cut there?");
};

const messageToWire = (message: ChatMessage, field: string): MessageInitShape<typeof ChatMessageSchema> => {
  const { role, content = [], toolCalls = [], toolCallId = "", name = "", reasoning = "" } = message;
  const roleValue = enumValue(RoleEnum, role);
  if (roleValue === undefined) throw invalidField(`${field}.role`, `"${role}" is no role`);
  const parts = typeof content === "string" ? textParts(content) : content;
  return {
    role: roleValue,
    content: parts.map((part, index) => partToWire(part, `${field}.content[${index}]`)),
    toolCalls: toolCalls.map(({ id, name: tool, arguments: json }) => ({ id, name: tool, arguments: json })),
    toolCallId,
    name,
    reasoning,
  };
};

/** The service takes no empty part: a message without content has none. */
const textParts = (text: string): readonly ContentPart[] => (text === "" ? [] : [{ type: "text", text }]);

const partToWire = (part: ContentPart, field: string): MessageInitShape<typeof ContentPartSchema> => {
  if (part.type === "text") {
    assertWellFormed(part.text, `${field}.text`);
    return { part: { case: "text", value: part.text } };
  }
  const { image, mediaType = "" } = part;
  const source =
    image instanceof Uint8Array
      ? { case: "data" as const, value: image as Uint8Array<ArrayBuffer> } // a shared buffer is only read here
      : { case: "url" as const, value: String(image) };
  return { part: { case: "image", value: { source, mediaType } } };
};

const toolChoiceToWire = (choice: ToolChoice): MessageInitShape<typeof ToolChoiceSchema> => {
  if (typeof choice === "object") return { choice: { case: "function", value: choice.function } };
  const modes = { auto: ToolChoice_Mode.AUTO, none: ToolChoice_Mode.NONE, required: ToolChoice_Mode.REQUIRED };
  if (!Object.hasOwn(modes, choice)) throw invalidField("task.chat.tool_choice", `"${choice}" is no choice`);
  return { choice: { case: "mode", value: modes[choice] } };
};

/** A copy without what JSON has no word for, such as keys whose value is undefined. */
const jsonToWire = (json: { readonly [key: string]: Json }): JsonObject =>
  JSON.parse(JSON.stringify(json)) as JsonObject;
