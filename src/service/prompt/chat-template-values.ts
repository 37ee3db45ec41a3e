/** Converts a conversation to the values that chat templates expect, named as in transformers. */
import type { ChatInput, ChatMessage, Tool, ToolCall } from "../domain/conversation.ts";
import { parseExactJson, valueOf } from "./jinja/exact-json.ts";
import { jsonText } from "./jinja/python-text.ts";
import type { Value } from "./jinja/values.ts";

/** Missing keys are absent rather than undefined: templates test with `in` and `is defined`. */
export type TemplateMessage = ReadonlyMap<Value, Value>;

/** The forms that a template expects where there is a choice. */
export interface MessageForms {
  /** The content of an assistant message that only calls tools. */
  readonly emptyContent: "text" | "none" | "absent";
  /** Whether a call's arguments are an object or JSON text. */
  readonly callArguments: "object" | "text";
  /** Whether it knows the role `developer`; otherwise such messages get the role `system`. */
  readonly developerRole: boolean;
  /**
   * Whether the template ignores earlier calls, so that they have to be written into the text as the model wrote them.
   */
  readonly callsInText: boolean;
}

export const usualForms: MessageForms = {
  emptyContent: "text",
  callArguments: "object",
  developerRole: false,
  callsInText: false,
};

export const toTemplateMessage = (message: ChatMessage, forms: MessageForms): TemplateMessage => {
  const role = message.role === "developer" && !forms.developerRole ? "system" : message.role;
  const { name, toolCalls, toolCallId, reasoning } = message;
  const members = new Map<Value, Value>([["role", role]]);
  const text = textOf(message) + (forms.callsInText ? callsAsText(toolCalls) : "");
  const isAbsent = text === "" && toolCalls.length > 0 && forms.emptyContent !== "text";
  if (!isAbsent) members.set("content", text);
  else if (forms.emptyContent === "none") members.set("content", null);
  if (name !== "") members.set("name", name);
  if (toolCalls.length > 0 && !forms.callsInText) {
    members.set(
      "tool_calls",
      toolCalls.map((call) => toTemplateCall(call, forms)),
    );
  }
  if (toolCallId !== "") members.set("tool_call_id", toolCallId);
  if (reasoning !== "") {
    members.set("reasoning_content", reasoning);
    // The name that gpt-oss's template uses.
    members.set("thinking", reasoning);
  }
  return members;
};

export const contentOf = (message: TemplateMessage): string => {
  const content = message.get("content");
  return typeof content === "string" ? content : "";
};

export const withContent = (message: TemplateMessage, content: string): TemplateMessage =>
  new Map([...message, ["content", content]]);

/** Empty if the caller forbids calls: a model that is shown no tools calls none. */
export const offeredTools = ({ tools, toolChoice }: ChatInput): ReadonlyArray<Tool> =>
  toolChoice.mode === "none" ? [] : tools;

export const toTemplateTool = (tool: Tool): Value =>
  new Map<Value, Value>([
    ["type", "function"],
    ["function", toTemplateFunction(tool)],
  ]);

/** Always with a description, because templates use it unconditionally. */
export const toTemplateFunction = ({ name, description, parameters, parametersText }: Tool): Value => {
  const members = new Map<Value, Value>([
    ["name", name],
    ["description", description],
  ]);
  // Schemas that are nested too deep for this were refused earlier.
  const written = parametersText === undefined ? undefined : parseExactJson(parametersText);
  if (parameters !== undefined) members.set("parameters", written ?? valueOf(parameters));
  return members;
};

export const functionsAsText = (tools: ReadonlyArray<Tool>): string =>
  jsonText(tools.map(toTemplateFunction), plainJson);

const plainJson = { ensureAscii: false, indent: undefined, itemSeparator: ", ", keySeparator: ": ", sortKeys: false };

/**
 * Moves all system text before the first user message, followed by a blank line; adds a user message if there is none.
 */
export const foldSystemText = (messages: ReadonlyArray<TemplateMessage>): ReadonlyArray<TemplateMessage> => {
  const system = messages.filter(isOf("system")).map(contentOf);
  const turns = messages.filter((message) => !isOf("system")(message));
  const first = turns.findIndex(isOf("user"));
  if (first < 0) {
    const folded = new Map<Value, Value>([
      ["role", "user"],
      ["content", system.join("\n\n")],
    ]);
    return [folded, ...turns];
  }
  return turns.map((turn, index) =>
    index === first ? withContent(turn, [...system, contentOf(turn)].join("\n\n")) : turn,
  );
};

export const isOf =
  (role: string) =>
  (message: TemplateMessage): boolean =>
    message.get("role") === role;

const textOf = ({ content }: ChatMessage): string =>
  // Images were refused earlier, as no model here supports them.
  content.map((part) => (part.type === "text" ? part.text : "")).join("");

const toTemplateCall = ({ id, name, arguments: text }: ToolCall, { callArguments }: MessageForms): Value => {
  const called = new Map<Value, Value>([
    ["name", name],
    ["arguments", callArguments === "object" ? argumentsOf(text) : text.trim() === "" ? "{}" : text],
  ]);
  const call = new Map<Value, Value>([
    ["type", "function"],
    ["function", called],
  ]);
  return id === "" ? call : new Map<Value, Value>([["id", id], ...call]);
};

/** In the notation of Phi-4-mini, the only model whose template needs this. */
const callsAsText = (calls: ReadonlyArray<ToolCall>): string => {
  if (calls.length === 0) return "";
  const written = calls.map(({ name, arguments: text }) => {
    const isObject = typeof argumentsOf(text) === "object";
    return `{"name": ${JSON.stringify(name)}, "arguments": ${isObject ? text.trim() || "{}" : JSON.stringify(text)}}`;
  });
  return `<|tool_call|>[${written.join(", ")}]<|/tool_call|>`;
};

/** The object as it was written if the text is a JSON object; otherwise the text itself. */
const argumentsOf = (text: string): Value => {
  if (text.trim() === "") return new Map();
  const value = parseExactJson(text);
  return typeof value === "object" && value !== null ? value : text;
};
