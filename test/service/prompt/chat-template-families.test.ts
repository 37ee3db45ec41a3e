/** Templates in the manner of model families, with conversations, against what transformers makes of them. */
import { readdirSync, readFileSync } from "node:fs";
import { assert, describe, it } from "@effect/vitest";

import type { ChatInput, ChatMessage, Tool, ToolCall } from "../../../src/service/domain/conversation.ts";
import { ChatTemplateRefused, createChatTemplate } from "../../../src/service/prompt/chat-template.ts";

interface GivenMessage extends Partial<Pick<ChatMessage, "name" | "reasoning">> {
  readonly role: ChatMessage["role"];
  readonly content?: string;
  readonly tool_call_id?: string;
  readonly tool_calls?: ReadonlyArray<ToolCall>;
}

interface Conversation {
  readonly messages: ReadonlyArray<GivenMessage>;
  readonly tools?: ReadonlyArray<Tool>;
  readonly options?: Readonly<Record<string, unknown>>;
}

/** By the form of calls, e.g. `text object`; `any` where all are alike. */
type Rendered = Readonly<Record<string, { readonly text?: string; readonly error?: string }>>;

const folder = new URL("../../fixtures/chat-templates/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, folder), "utf8");
const conversations = JSON.parse(read("conversations.json")) as Readonly<Record<string, Conversation>>;
const rendered = JSON.parse(read("rendered.json")) as Readonly<Record<string, Readonly<Record<string, Rendered>>>>;
const families = readdirSync(new URL("families/", folder)).map((file) => file.replace(".jinja", ""));

const now = () => new Date("2026-11-27T09:05:03");
const templateOf = (family: string) =>
  createChatTemplate({
    tokenizerConfig: { chat_template: read(`families/${family}.jinja`), bos_token: "<s>", eos_token: "</s>" },
    now,
  });

const chatOf = ({ messages, tools = [], options = {} }: Conversation): ChatInput => ({
  type: "chat",
  messages: messages.map(
    ({ role, content = "", tool_calls: toolCalls = [], tool_call_id: toolCallId = "", ...rest }) => ({
      role,
      content: [{ type: "text", text: content }],
      toolCalls,
      toolCallId,
      name: rest.name ?? "",
      reasoning: rest.reasoning ?? "",
    }),
  ),
  tools,
  toolChoice: { mode: "auto" },
  templateOptions: options,
  continueFinalMessage: false,
});

const outcome = (render: () => string) => {
  try {
    return { text: render() };
  } catch (cause) {
    if (cause instanceof ChatTemplateRefused) return { refused: cause.reason };
    throw cause;
  }
};

describe.each(families)("%s", (family) => {
  const template = templateOf(family);
  const { forms, tools } = template.shape;

  it.each(Object.entries(conversations))("%s", (name, conversation) => {
    // Where tools go elsewhere than transformers' users put them, there is nothing to compare with.
    if (tools !== "variable" && tools !== undefined && conversation.tools !== undefined) return;
    // transformers leaves earlier calls out where the template does; here they are written into the text.
    if (forms.callsInText && conversation.messages.some((each) => each.tool_calls !== undefined)) return;
    const expected = rendered[family]?.[name];
    const inForm = expected?.[`${forms.emptyContent} ${forms.callArguments}`] ?? expected?.["any"];
    assert.isDefined(inForm);
    const made = outcome(() => template.render(chatOf(conversation)));
    if (inForm?.text === undefined) assert.property(made, "refused");
    else assert.deepStrictEqual(made, { text: inForm.text });
  });
});

describe("the shape of a template", () => {
  it.each<[string, object]>([
    [
      "llama-3.1",
      { tools: "variable", options: ["builtin_tools", "custom_tools", "date_string", "tools_in_user_message"] },
    ],
    ["llama-3.2", { tools: "variable", options: ["date_string"] }],
    ["qwen2.5", { tools: "variable", options: [] }],
    ["qwen3", { tools: "variable", options: ["enable_thinking"] }],
    ["qwen3-coder", { tools: "variable", options: ["system_message"] }],
    ["hermes-3", { tools: "variable", options: [] }],
    ["mistral", { tools: "variable", options: ["system_message"] }],
    ["gemma-2", { tools: undefined, options: [] }],
    ["gemma-3", { tools: undefined, options: [] }],
    ["phi-3", { tools: undefined, options: [] }],
    ["phi-4-mini", { tools: "system-text", options: [] }],
    ["deepseek-r1-distill", { tools: undefined, options: [] }],
    ["functionary-3.1", { tools: "variable", options: [] }],
    ["glm-4.5", { tools: "variable", options: ["enable_thinking"] }],
    ["gpt-oss", { tools: "variable", options: ["model_identity", "reasoning_effort"] }],
  ])("of %s", (family, expected) => {
    const { tools, options } = templateOf(family).shape;
    assert.deepStrictEqual({ tools, options: options.toSorted() }, expected);
  });

  it("tells how it wants calls", () => {
    const formOf = (family: string) => templateOf(family).shape.forms;
    assert.deepInclude(formOf("qwen3"), { emptyContent: "text", callArguments: "object" });
    assert.deepInclude(formOf("deepseek-r1-distill"), { emptyContent: "none", callArguments: "text" });
    assert.deepInclude(formOf("functionary-3.1"), { callArguments: "text" });
    assert.isTrue(formOf("gpt-oss").developerRole);
    assert.isFalse(formOf("qwen3").developerRole);
  });

  it("tells what it leaves out", () => {
    const writesOf = (family: string) => templateOf(family).shape.writes;
    assert.deepStrictEqual(writesOf("qwen3"), { calls: true, results: true, names: false, reasoning: true });
    assert.deepInclude(writesOf("qwen2.5"), { calls: true, results: true, reasoning: false });
    assert.deepInclude(writesOf("phi-3"), { calls: false, results: false });
    assert.deepInclude(writesOf("phi-4-mini"), { calls: true, results: true });
    assert.deepInclude(writesOf("gpt-oss"), { calls: true, results: true, reasoning: true });
  });

  it("does not read a word as a variable", () => {
    const template =
      "{# enable_thinking #}{{ messages[0].content }} enable_thinking {{ messages[0].enable_thinking }}{{ 'b' if x }}{% set z = 1 %}{{ z }}";
    const { shape, tools } = createChatTemplate({ tokenizerConfig: { chat_template: `${template} tools` } });
    assert.deepStrictEqual([tools, shape.options], [undefined, ["x"]]);
  });
});

describe("a template that writes no earlier calls", () => {
  it("has them in the text where its model's notation is known, as they were sent", () => {
    const call = (name: string, json: string) => ({ id: "c", name, arguments: json });
    const messages = [
      { role: "user", content: "Hi" },
      {
        role: "assistant",
        content: "So: ",
        tool_calls: [call("f", '{"b": 1.0, "1": 2}'), call("g", ""), call("h", "x")],
      },
      { role: "tool", content: "ok", tool_call_id: "c" },
    ] as const;
    assert.strictEqual(
      templateOf("phi-4-mini").render(chatOf({ messages })),
      '<|user|>Hi<|end|><|assistant|>So: <|tool_call|>[{"name": "f", "arguments": {"b": 1.0, "1": 2}}, {"name": "g", "arguments": {}}, {"name": "h", "arguments": "x"}]<|/tool_call|><|end|><|tool|>ok<|end|><|assistant|>',
    );
  });
});

describe("a template that takes tools from its system message", () => {
  const tool: Tool = { name: "get_time", description: "The time.", parameters: undefined };
  const ask = (messages: ReadonlyArray<GivenMessage>) => chatOf({ messages, tools: [tool] });

  it("gets them there, as text or as a list, with a system message or without", () => {
    const user = { role: "user", content: "Hi" } as const;
    const phi = templateOf("phi-4-mini");
    assert.strictEqual(
      phi.render(ask([{ role: "system", content: "Be brief." }, user])),
      '<|system|>Be brief.<|tool|>[{"name": "get_time", "description": "The time."}]<|/tool|><|end|><|user|>Hi<|end|><|assistant|>',
    );
    assert.strictEqual(
      phi.render(ask([user])),
      '<|system|><|tool|>[{"name": "get_time", "description": "The time."}]<|/tool|><|end|><|user|>Hi<|end|><|assistant|>',
    );
    const chat_template =
      "{% for m in messages %}{% for t in m.tools or [] %}[{{ t.name }}]{% endfor %}{{ m.content }}{% endfor %}";
    assert.strictEqual(createChatTemplate({ tokenizerConfig: { chat_template } }).render(ask([user])), "[get_time]Hi");
  });
});
