/** A conversation as chat templates see it: the names and forms that transformers' users pass. */
import type { ChatInput, ChatMessage, ToolCall } from "../domain/generation.ts";

/** Keys that a message does not have are absent: templates ask with `in` and `is defined`. */
export interface TemplateMessage {
  readonly role: string;
  readonly content: string;
  readonly name?: string;
  readonly tool_calls?: ReadonlyArray<object>;
  readonly tool_call_id?: string;
  readonly reasoning_content?: string;
  /** gpt-oss's name for the same. */
  readonly thinking?: string;
}

/**
 * @param options.developerRole whether the template knows the role `developer`; otherwise it becomes `system`, which is
 *   what it means, as most templates drop messages of a role that they do not know
 */
export const toTemplateMessages = (
  { messages }: ChatInput,
  { developerRole }: { readonly developerRole: boolean },
): ReadonlyArray<TemplateMessage> =>
  messages.map((message) => ({
    role: message.role === "developer" && !developerRole ? "system" : message.role,
    content: textOf(message),
    ...(message.name !== "" && { name: message.name }),
    ...(message.toolCalls.length > 0 && { tool_calls: message.toolCalls.map(toTemplateCall) }),
    ...(message.toolCallId !== "" && { tool_call_id: message.toolCallId }),
    ...(message.reasoning !== "" && { reasoning_content: message.reasoning, thinking: message.reasoning }),
  }));

/** None where the caller wants no call: a model that is not shown tools calls none. */
export const toTemplateTools = ({ tools, toolChoice }: ChatInput): ReadonlyArray<object> =>
  toolChoice.mode === "none"
    ? []
    : tools.map(({ name, description, parameters }) => ({
        type: "function",
        // A description always: templates append it without asking.
        function: { name, description, ...(parameters !== undefined && { parameters }) },
      }));

/** All system text in front of the first user message, a blank line between; there is one even without a user turn. */
export const foldSystemText = (messages: ReadonlyArray<TemplateMessage>): ReadonlyArray<TemplateMessage> => {
  const system = messages.filter(({ role }) => role === "system").map(({ content }) => content);
  const turns = messages.filter(({ role }) => role !== "system");
  const first = turns.findIndex(({ role }) => role === "user");
  if (first < 0) return [{ role: "user", content: system.join("\n\n") }, ...turns];
  return turns.map((turn, index) =>
    index === first ? { ...turn, content: [...system, turn.content].join("\n\n") } : turn,
  );
};

const textOf = ({ content }: ChatMessage): string =>
  // Images are refused before a template is asked: no model here takes them.
  content.map((part) => (part.type === "text" ? part.text : "")).join("");

const toTemplateCall = ({ id, name, arguments: text }: ToolCall): object => ({
  ...(id !== "" && { id }),
  type: "function",
  function: { name, arguments: parseArguments(text) },
});

/** The object, where the text is one; otherwise the text as it is. */
const parseArguments = (text: string): unknown => {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : text;
  } catch {
    return text;
  }
};
