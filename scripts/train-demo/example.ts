/** What the model is taught and measured with: conversations, and what a right answer to their last turn is. */

export type Language = "en" | "ko";

interface ToolCall {
  name: string;
  arguments: Record<string, unknown>;
}

export interface Message {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  tool_calls?: { type: "function"; function: ToolCall }[];
}

export interface Tool {
  type: "function";
  function: { name: string; description?: string; parameters: Record<string, unknown> };
}

export type Expectation =
  | { kind: "number"; value: string }
  | { kind: "text"; text: string }
  | { kind: "contains"; text: string }
  | { kind: "json"; value: unknown }
  | { kind: "call"; call: ToolCall };

/** A conversation that waits for its next assistant turn, with the answer that is taught and what counts as right. */
export interface Example {
  messages: Message[];
  tools?: Tool[];
  answer: Message;
  expect: Expectation;
}

/** An assistant turn as a client sees it: tool calls apart from text. */
export interface Reply {
  text: string;
  calls: ToolCall[];
}

export function isRight(example: Pick<Example, "expect">, reply: Reply): boolean {
  const { expect } = example;
  const text = reply.text.trim();
  if (expect.kind === "call") {
    const [call, ...more] = reply.calls;
    return call !== undefined && more.length === 0 && text === "" && sameValue(call, expect.call);
  }
  if (reply.calls.length > 0) return false;
  switch (expect.kind) {
    case "number":
      return (
        text
          .replace(/(?<=\d),(?=\d{3})/g, "")
          .match(/-?\d+(\.\d+)?/g)
          ?.at(-1) === expect.value
      );
    case "text":
      return text === expect.text;
    case "contains":
      return text.includes(expect.text);
    case "json":
      return sameValue(parseJson(text), expect.value);
  }
}

/** Reads an assistant turn as the model writes it, `<tool_call>` tags and all. */
export function parseReply(raw: string): Reply {
  const calls: ToolCall[] = [];
  const text = raw.replace(/<tool_call>([\s\S]*?)<\/tool_call>/g, (whole, body: string) => {
    const call = parseJson(body.trim());
    if (!isToolCall(call)) return whole;
    calls.push(call);
    return "";
  });
  return { text: text.trim(), calls };
}

export function user(content: string): Message {
  return { role: "user", content };
}

export function assistant(content: string): Message {
  return { role: "assistant", content };
}

export function callTool(name: string, args: Record<string, unknown>): Message {
  return { role: "assistant", content: "", tool_calls: [{ type: "function", function: { name, arguments: args } }] };
}

/** JSON as Python's `json.dumps` and the template filter `tojson` write it: a space after each comma and colon. */
export function writeJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(writeJson).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${JSON.stringify(key)}: ${writeJson(item)}`)
      .join(", ")}}`;
  }
  return JSON.stringify(value);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isToolCall(value: unknown): value is ToolCall {
  return (
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    typeof value.name === "string" &&
    "arguments" in value &&
    typeof value.arguments === "object" &&
    value.arguments !== null
  );
}

function sameValue(left: unknown, right: unknown): boolean {
  if (typeof left !== "object" || typeof right !== "object" || left === null || right === null) return left === right;
  const keys = Object.keys(left);
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => key in right && sameValue(Reflect.get(left, key), Reflect.get(right, key)))
  );
}
