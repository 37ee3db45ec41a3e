import { writeJson, type Message, type Tool } from "./example.ts";

/** A piece of a rendered conversation; the loss counts only where `learned` is true. */
export interface Segment {
  text: string;
  learned: boolean;
}

const generationPrompt = "<|im_start|>assistant\n";

/**
 * Writes a conversation exactly as chat-template.jinja does, in pieces that tell what the assistant wrote. A piece ends
 * only at a special token or a line break, so the pieces' tokens are the whole text's tokens.
 */
export function renderSegments(messages: readonly Message[], tools: readonly Tool[] = []): Segment[] {
  const segments: Segment[] = [];
  const add = (text: string, learned = false): void => {
    segments.push({ text, learned });
  };
  const lead = messages[0]?.role === "system" ? messages[0].content : undefined;
  if (tools.length > 0) add(renderTools(lead, tools));
  else if (lead !== undefined) add(`<|im_start|>system\n${lead}<|im_end|>\n`);
  const rest = lead === undefined ? messages : messages.slice(1);
  for (const [index, message] of rest.entries()) {
    if (message.role === "assistant") {
      add(generationPrompt);
      add(`${renderAnswer(message)}<|im_end|>`, true);
      add("\n");
    } else if (message.role === "tool") {
      const opening = rest[index - 1]?.role === "tool" ? "" : "<|im_start|>user";
      const closing = rest[index + 1]?.role === "tool" ? "" : "<|im_end|>\n";
      add(`${opening}\n<tool_response>\n${message.content}\n</tool_response>${closing}`);
    } else {
      add(`<|im_start|>${message.role}\n${message.content}<|im_end|>\n`);
    }
  }
  return segments;
}

/** The text the model continues when it is its turn. */
export function renderPrompt(messages: readonly Message[], tools?: readonly Tool[]): string {
  return (
    renderSegments(messages, tools)
      .map((segment) => segment.text)
      .join("") + generationPrompt
  );
}

function renderTools(lead: string | undefined, tools: readonly Tool[]): string {
  const list = tools.map((tool) => `\n${writeJson(tool)}`).join("");
  return (
    `<|im_start|>system\n${lead ? `${lead}\n\n` : ""}# Tools\n\nThese functions can be called:\n<tools>${list}\n</tools>\n\n` +
    `To call one, write its name and arguments as JSON:\n<tool_call>\n{"name": <name>, "arguments": <object>}\n</tool_call><|im_end|>\n`
  );
}

function renderAnswer(message: Message): string {
  const calls = (message.tool_calls ?? []).map(
    ({ function: call }) =>
      `<tool_call>\n{"name": "${call.name}", "arguments": ${writeJson(call.arguments)}}\n</tool_call>`,
  );
  return [...(message.content ? [message.content] : []), ...calls].join("\n");
}
