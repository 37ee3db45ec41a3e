import { assert, describe, it } from "vitest";

import type { BackendEngine } from "../../../../src/service/domain/backend-presets.ts";
import type { ConversationOption } from "../../../../src/service/domain/conversation-options.ts";
import type { ChatInput } from "../../../../src/service/domain/conversation.ts";
import type { OutputConstraint } from "../../../../src/service/domain/generation-task.ts";
import { chatRequest } from "../../../../src/service/engine/openai/chat-request.ts";
import { png } from "../../../support/images.ts";
import { chat as inputOf, message } from "../../../support/tasks.ts";

const chat = (...messages: ChatInput["messages"]): ChatInput => {
  const input = inputOf(...messages);
  return input.type === "chat" ? input : assert.fail();
};

const parameters = {
  temperature: 0.5,
  topP: 0.9,
  topK: 40,
  minP: 0.1,
  repetitionPenalty: 1.1,
  presencePenalty: 0.2,
  frequencyPenalty: 0,
  seed: 2 ** 31 + 3,
  maxOutputTokens: 9,
  minOutputTokens: 0,
  stopSequences: ["\n"],
  stopTokenIds: [],
};
const bodyOf = (
  engine: BackendEngine,
  input: ChatInput = chat(message("user", "2+2?")),
  constraint?: OutputConstraint,
  topLogprobs?: number,
  unsupported: ReadonlySet<ConversationOption> = new Set(),
) =>
  JSON.parse(
    chatRequest("m", engine, input, { parameters, reasoning: { effort: "low" }, constraint, topLogprobs }, unsupported),
  );

describe("the request of a chat completion", () => {
  it("has the options that the engine heeds, and no others", () => {
    const options = { temperature: 0.5, top_p: 0.9, top_k: 40, min_p: 0.1, repetition_penalty: 1.1, stop: ["\n"] };
    const vllm = bodyOf("vllm");
    assert.deepInclude(vllm, { ...options, presence_penalty: 0.2, seed: 3, max_tokens: 9 });
    assert.notProperty(vllm, "frequency_penalty");
    const openai = bodyOf("openai");
    assert.deepInclude(openai, { temperature: 0.5, max_completion_tokens: 9, reasoning_effort: "low" });
    for (const name of ["top_k", "min_p", "repetition_penalty", "max_tokens"]) assert.notProperty(openai, name);
  });

  it("tells the form of the output where the engine takes it", () => {
    const constraint = { type: "json-schema", schema: '{"type":"object"}' } as const;
    assert.deepInclude(bodyOf("vllm", undefined, constraint), {
      response_format: { type: "json_schema", json_schema: { name: "answer", schema: { type: "object" } } },
    });
    assert.deepInclude(bodyOf("ollama", undefined, { type: "json-object" }), {
      response_format: { type: "json_object" },
    });
    assert.notProperty(bodyOf("vllm"), "response_format");
    assert.notProperty(bodyOf("mlx_lm_server", undefined, constraint), "response_format");
  });

  it("asks for logprobs in the form of the API", () => {
    assert.deepInclude(bodyOf("openai", undefined, undefined, 0), { logprobs: true });
    assert.notProperty(bodyOf("openai", undefined, undefined, 0), "top_logprobs");
    assert.deepInclude(bodyOf("openai", undefined, undefined, 5), { logprobs: true, top_logprobs: 5 });
    assert.notProperty(bodyOf("openai"), "logprobs");
  });

  it("has images beside the text, by their bytes or their URL", () => {
    const image = { ...message("user", "What is this?") };
    const { messages } = bodyOf(
      "openai",
      chat({
        ...image,
        content: [
          ...image.content,
          { type: "image", source: { data: png }, mediaType: "" },
          { type: "image", source: { url: "https://example.com/a.png" }, mediaType: "" },
        ],
      }),
    );
    assert.deepStrictEqual(messages[0].content, [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: `data:image/png;base64,${Buffer.from(png).toString("base64")}` } },
      { type: "image_url", image_url: { url: "https://example.com/a.png" } },
    ]);
  });

  it("has messages, calls and their results in the form of the API", () => {
    const input = chat(
      message("developer", "Be brief."),
      { ...message("assistant", ""), toolCalls: [{ id: "x", name: "add", arguments: '{"a": 1.0}' }] },
      { ...message("tool", "2"), toolCallId: "x", name: "add" },
    );
    assert.deepStrictEqual(bodyOf("vllm", input).messages, [
      { role: "system", content: "Be brief." },
      {
        role: "assistant",
        content: null,
        tool_calls: [{ id: "x", type: "function", function: { name: "add", arguments: '{"a": 1.0}' } }],
      },
      { role: "tool", content: "2", tool_call_id: "x" },
    ]);
    assert.strictEqual(bodyOf("openai", input).messages[0].role, "developer");
  });

  it("has tools and their choice only where there are tools", () => {
    const input = { ...chat(message("user", "?")), toolChoice: { mode: "function", name: "add" } as const };
    assert.notProperty(bodyOf("vllm", input), "tool_choice");
    const tools = [{ name: "add", description: "", parameters: undefined }];
    const body = bodyOf("vllm", { ...input, tools });
    assert.deepStrictEqual(body.tool_choice, { type: "function", function: { name: "add" } });
    assert.deepStrictEqual(body.tools[0].function.parameters, { type: "object", properties: {} });
  });
});
