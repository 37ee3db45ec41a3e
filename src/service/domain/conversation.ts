/** A conversation with a model, and the tools that the model may call: the input of a chat. */
import { Schema } from "effect";

const { optionalKey, Array, Boolean, Literal, Literals, Record, String, Struct, UndefinedOr, Union, Unknown } = Schema;

// Schemas rather than plain types, so that a conversation can be stored and read back.

const Role = Literals(["system", "user", "assistant", "tool", "developer"]);
export type Role = typeof Role.Type;

const ToolCall = Struct({
  id: String,
  name: String,
  /** The JSON text as the model wrote it, not re-encoded. */
  arguments: String,
});
export type ToolCall = typeof ToolCall.Type;

const ImagePart = Struct({
  type: Literal("image"),
  source: Union([Struct({ data: Schema.Uint8Array }), Struct({ url: String })]),
  mediaType: String,
});

const ContentPart = Union([Struct({ type: Literal("text"), text: String }), ImagePart]);
export type ContentPart = typeof ContentPart.Type;

const ChatMessage = Struct({
  role: Role,
  content: Array(ContentPart),
  toolCalls: Array(ToolCall),
  toolCallId: String,
  name: String,
  reasoning: String,
});
export type ChatMessage = typeof ChatMessage.Type;

const Tool = Struct({
  name: String,
  description: String,
  /** A JSON Schema. */
  parameters: UndefinedOr(Record(String, Unknown)),
  /** The schema as JSON text, if it was sent as text: it preserves the order of members and all digits of numbers. */
  parametersText: optionalKey(String),
});
export type Tool = typeof Tool.Type;

const ToolChoice = Union([
  Struct({ mode: Literals(["auto", "none", "required"]) }),
  Struct({ mode: Literal("function"), name: String }),
]);
export type ToolChoice = typeof ToolChoice.Type;

export const ChatInput = Struct({
  type: Literal("chat"),
  messages: Array(ChatMessage),
  tools: Array(Tool),
  toolChoice: ToolChoice,
  templateOptions: Record(String, Unknown),
  continueFinalMessage: Boolean,
});
export type ChatInput = typeof ChatInput.Type;
