import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import {
  checkChoice,
  checkEnum,
  checkFlag,
  checkJson,
  checkKeys,
  checkList,
  checkObject,
  checkText,
  show,
} from "./check.ts";
import type { Role } from "./enum-names.ts";
import { invalidField } from "./errors.ts";
import {
  type ChatInputSchema,
  type ChatMessageSchema,
  type ContentPartSchema,
  Role as RoleEnum,
  ToolChoice_Mode,
  type ToolChoiceSchema,
  type ToolSchema,
} from "./gen/mlxd/v1/types_pb.ts";
import type { Candidate, ToolCall } from "./results.ts";

/** A part of a message. The type can be left out: `{ text }` is a text, `{ image }` an image. */
export type ContentPart = TextPart | ImagePart;

/** Text. */
export interface TextPart {
  readonly type?: "text" | undefined;
  readonly text: string;
}

/** An image by value or by reference, for models that accept images. */
export interface ImagePart {
  readonly type?: "image" | undefined;
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
  /** Who wrote it. */
  readonly role: Role;
  /**
   * Its content. A string is the same as one text part.
   * @default none, for an assistant's message that only calls tools
   */
  readonly content?: string | readonly ContentPart[] | undefined;
  /** In an assistant's message: the tool calls that it made. */
  readonly toolCalls?: readonly ToolCall[] | undefined;
  /** In a tool's message: the id of the call that it answers. */
  readonly toolCallId?: string | undefined;
  /** The name of the speaker or the tool, if the model's template uses it. */
  readonly name?: string | undefined;
  /** In an assistant's message: the reasoning that preceded it, if the model's template uses it. */
  readonly reasoning?: string | undefined;
}

/** A function that the model may call. */
export interface Tool {
  /** Its name: letters, digits, `_`, `-`, `.`; at most 64 bytes. */
  readonly name: string;
  /** What it does; the model gets this text. */
  readonly description?: string | undefined;
  /**
   * The JSON Schema of its arguments, as an object or as JSON text. Text reaches the model unchanged; in an object, integers
   * over 2^53 lose digits, and keys like `"1"` come first.
   */
  readonly parameters?: JsonSchema | string | undefined;
}

/** Whether a tool must be called, and which one. */
export type ToolChoice = "auto" | "none" | "required" | { readonly function: string };

/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A JSON Schema. */
export type JsonSchema = { readonly [key: string]: Json };

/** A conversation. */
export interface ChatInput {
  /** The messages in order, at least one. The service stores no history, so the caller has to. */
  readonly messages: readonly ChatMessage[];
  /** Functions that the model may call. */
  readonly tools?: readonly Tool[] | undefined;
  /**
   * Whether a tool must be called, and which one.
   * @default "auto"
   */
  readonly toolChoice?: ToolChoice | undefined;
  /** Extra variables for the model's chat template, e.g. `{ enable_thinking: false }`. */
  readonly templateOptions?: { readonly [name: string]: Json } | undefined;
  /**
   * Continue the last message, instead of beginning the assistant's turn.
   * @default false
   */
  readonly continueFinalMessage?: boolean | undefined;
}

/** The model's output as the next message of the conversation: text, reasoning and tool calls. */
export const assistantMessage = (said: Said): ChatMessage => {
  const { text, reasoning, toolCalls } = checkObject(said, "said");
  const [saidText, saidReasoning] = [checkText(text, "said.text"), checkText(reasoning, "said.reasoning")];
  const calls = checkList(toolCalls, "said.toolCalls").map((call, at) => toolCall(call, `said.toolCalls[${at}]`));
  return {
    role: "assistant",
    ...(saidText !== "" && { content: saidText }),
    ...(saidReasoning !== "" && { reasoning: saidReasoning }),
    ...(calls.length > 0 && { toolCalls: calls }),
  };
};

/** The parts of a result that the next turn needs. */
type Said = Pick<Candidate, "text" | "reasoning" | "toolCalls">;

/** The result of a tool call as a message: a string, or a value that is converted to JSON. */
export const toolMessage = (call: ToolCall, result: Json): ChatMessage => {
  const { id, name } = toolCall(call, "call");
  if (result === undefined) throw invalidField("result", "undefined cannot be converted to JSON; null can");
  const content =
    typeof result === "string" ? checkText(result, "result") : JSON.stringify(checkJson(result, "result"));
  return { role: "tool", toolCallId: id, name, content };
};

/** Converts a conversation to the wire. */
export const chatToWire = (
  chat: ChatInput | Readonly<Record<string, unknown>>,
  place = "",
): MessageInitShape<typeof ChatInputSchema> => {
  const at = (name: string) => (place === "" ? name : `${place}.${name}`);
  const { messages, tools = [], toolChoice, templateOptions, continueFinalMessage = false } = chat;
  return {
    messages: checkList(messages, at("messages")).map((message, index) =>
      messageToWire(message, `${at("messages")}[${index}]`),
    ),
    tools: checkList(tools, at("tools")).map((tool, index) => toolToWire(tool, `${at("tools")}[${index}]`)),
    ...(toolChoice !== undefined && { toolChoice: toolChoiceToWire(toolChoice, at("toolChoice")) }),
    ...(templateOptions !== undefined && { templateOptions: jsonObject(templateOptions, at("templateOptions")) }),
    continueFinalMessage: checkFlag(continueFinalMessage, at("continueFinalMessage")),
  };
};

const messageKeys = ["role", "content", "toolCalls", "toolCallId", "name", "reasoning"];

const messageToWire = (value: unknown, place: string): MessageInitShape<typeof ChatMessageSchema> => {
  const message = checkObject(value, place);
  checkKeys(message, place, messageKeys, "member of a message");
  const { role, content, toolCalls = [], toolCallId = "", name = "", reasoning = "" } = message;
  return {
    role: checkEnum(RoleEnum, role, `${place}.role`),
    content: contentToWire(content, `${place}.content`),
    toolCalls: checkList(toolCalls, `${place}.toolCalls`).map((call, at) =>
      toolCall(call, `${place}.toolCalls[${at}]`),
    ),
    toolCallId: checkText(toolCallId, `${place}.toolCallId`),
    name: checkText(name, `${place}.name`),
    reasoning: checkText(reasoning, `${place}.reasoning`),
  };
};

/** A message without content has no parts. Other APIs use null for that. */
const contentToWire = (content: unknown, place: string): MessageInitShape<typeof ContentPartSchema>[] => {
  if (content === undefined || content === null || content === "") return [];
  if (typeof content === "string") return [textPart(content, place)];
  return checkList(content, place).map((part, index) => partToWire(part, `${place}[${index}]`));
};

/** The type of a part can be left out: `{ text }` is a text. */
const partToWire = (value: unknown, place: string): MessageInitShape<typeof ContentPartSchema> => {
  if (typeof value === "string") return textPart(value, place);
  const part = checkObject(value, place);
  const type = part["type"] ?? (["text", "image"] as const).find((kind) => part[kind] !== undefined);
  if (type === undefined) throw invalidField(place, "it has neither text nor image");
  if (checkChoice(type, `${place}.type`, ["text", "image"]) === "text") {
    checkKeys(part, place, ["type", "text"], "member of a text");
    return textPart(part["text"], `${place}.text`);
  }
  checkKeys(part, place, ["type", "image", "mediaType"], "member of an image");
  const { image, mediaType = "" } = part;
  return {
    part: {
      case: "image",
      value: { source: imageSource(image, `${place}.image`), mediaType: checkText(mediaType, `${place}.mediaType`) },
    },
  };
};

const textPart = (text: unknown, place: string): MessageInitShape<typeof ContentPartSchema> => ({
  part: { case: "text", value: checkText(text, place) },
});

const imageSource = (image: unknown, place: string) => {
  if (image instanceof Uint8Array) {
    return { case: "data" as const, value: image as Uint8Array<ArrayBuffer> }; // a shared buffer is only read
  }
  if (image instanceof URL) return { case: "url" as const, value: image.href };
  if (typeof image === "string") return { case: "url" as const, value: checkText(image, place) };
  throw invalidField(place, `${show(image)} is neither bytes nor a URL`);
};

const toolToWire = (value: unknown, place: string): MessageInitShape<typeof ToolSchema> => {
  const tool = checkObject(value, place);
  checkKeys(tool, place, ["name", "description", "parameters"], "member of a tool");
  const { name, description = "", parameters } = tool;
  return {
    name: checkText(name, `${place}.name`),
    description: checkText(description, `${place}.description`),
    ...(typeof parameters === "string"
      ? { parametersJson: jsonText(parameters, `${place}.parameters`) }
      : parameters !== undefined && { parameters: jsonObject(parameters, `${place}.parameters`) }),
  };
};

/** The service refuses invalid JSON; but an empty string would reach it as no schema at all. */
const jsonText = (text: string, place: string): string => {
  if (text.trim() === "") throw invalidField(place, "an empty string is not JSON");
  return checkText(text, place);
};

const toolCall = (value: unknown, place: string): ToolCall => {
  const call = checkObject(value, place);
  checkKeys(call, place, ["id", "name", "arguments"], "member of a call");
  return {
    id: checkText(call["id"], `${place}.id`),
    name: checkText(call["name"], `${place}.name`),
    arguments: checkText(call["arguments"], `${place}.arguments`),
  };
};

const modes = { auto: ToolChoice_Mode.AUTO, none: ToolChoice_Mode.NONE, required: ToolChoice_Mode.REQUIRED } as const;

const toolChoiceToWire = (choice: unknown, place: string): MessageInitShape<typeof ToolChoiceSchema> => {
  if (typeof choice === "object") {
    const { function: name, ...others } = checkObject(choice, place);
    checkKeys(others, place, ["function"], "choice");
    return { choice: { case: "function", value: checkText(name, `${place}.function`) } };
  }
  const mode = checkChoice(choice, place, ["auto", "none", "required"]);
  return { choice: { case: "mode", value: modes[mode] } };
};

const jsonObject = (value: unknown, place: string): JsonObject =>
  checkJson(checkObject(value, place), place) as JsonObject; // the JSON of an object is an object
