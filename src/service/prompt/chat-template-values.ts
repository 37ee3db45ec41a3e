/** A conversation as chat templates see it: the names and forms that transformers' users pass. */
import type { ChatInput, ChatMessage, Tool, ToolCall } from "../domain/generation.ts";
import { parseExactJson, valueOf } from "./jinja/exact-json.ts";
import { jsonText } from "./jinja/python-text.ts";
import type { Value } from "./jinja/values.ts";

/** Keys that a message does not have are absent: templates ask with `in` and `is defined`. */
export type TemplateMessage = ReadonlyMap<Value, Value>;

/** How a template wants what can be written in more than one way. */
export interface MessageForms {
  /** The content of an assistant's message that only calls tools. */
  readonly emptyContent: "text" | "none" | "absent";
  /** A call's arguments: the object, or its JSON as text. */
  readonly callArguments: "object" | "text";
  /** Whether it knows the role `developer`; otherwise it gets `system`, which is what it means. */
  readonly developerRole: boolean;
  /** It writes no earlier calls: they go into the text, as its model wrote them. */
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
    // gpt-oss's name for the same.
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

/** None where the caller wants no call: a model that is not shown tools calls none. */
export const offeredTools = ({ tools, toolChoice }: ChatInput): ReadonlyArray<Tool> =>
  toolChoice.mode === "none" ? [] : tools;

export const toTemplateTool = (tool: Tool): Value =>
  new Map<Value, Value>([
    ["type", "function"],
    ["function", toTemplateFunction(tool)],
  ]);

/** A description always: templates append it without asking. */
export const toTemplateFunction = ({ name, description, parameters, parametersText }: Tool): Value => {
  const members = new Map<Value, Value>([
    ["name", name],
    ["description", description],
  ]);
  // What is nested too deep for it is refused before.
  const written = parametersText === undefined ? undefined : parseExactJson(parametersText);
  if (parameters !== undefined) members.set("parameters", written ?? valueOf(parameters));
  return members;
};

export const functionsAsText = (tools: ReadonlyArray<Tool>): string =>
  jsonText(tools.map(toTemplateFunction), plainJson);

const plainJson = { ensureAscii: false, indent: undefined, itemSeparator: ", ", keySeparator: ": ", sortKeys: false };

/** All system text in front of the first user message, a blank line between; there is one even without a user turn. */
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
  // Images are refused before a template is asked: no model here takes them.
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

/** As Phi-4-mini writes them, whose template is the one that needs it. */
const callsAsText = (calls: ReadonlyArray<ToolCall>): string => {
  if (calls.length === 0) return "";
  const written = calls.map(({ name, arguments: text }) => {
    const isObject = typeof argumentsOf(text) === "object";
    return `{"name": ${JSON.stringify(name)}, "arguments": ${isObject ? text.trim() || "{}" : JSON.stringify(text)}}`;
  });
  return `<|tool_call|>[${written.join(", ")}]<|/tool_call|>`;
};

/** The object as it was written, where the text is one; otherwise the text as it is. */
const argumentsOf = (text: string): Value => {
  if (text.trim() === "") return new Map();
  const value = parseExactJson(text);
  return typeof value === "object" && value !== null ? value : text;
};
