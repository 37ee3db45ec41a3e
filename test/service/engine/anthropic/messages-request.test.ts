import { assert, describe, it } from "vitest";

import type { ChatInput } from "../../../../src/service/domain/conversation.ts";
import type { ReasoningOptions } from "../../../../src/service/domain/generation-task.ts";
import { messagesRequest } from "../../../../src/service/engine/anthropic/messages-request.ts";
import { png } from "../../../support/images.ts";
import { chat as inputOf, message } from "../../../support/tasks.ts";

const chat = (...messages: ChatInput["messages"]): ChatInput => {
  const input = inputOf(...messages);
  return input.type === "chat" ? input : assert.fail();
};

const parameters = {
  temperature: 0.5,
  topP: 1,
  topK: 40,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 1,
  maxOutputTokens: 9,
  minOutputTokens: 0,
  stopSequences: ["\n"],
  stopTokenIds: [],
};

const bodyOf = (input: ChatInput, reasoning: ReasoningOptions = {}) =>
  JSON.parse(messagesRequest("m", input, { parameters, reasoning }, new Set())) as Readonly<Record<string, unknown>>;

describe("the request of a message", () => {
  it("has its options, and what the system says apart", () => {
    const body = bodyOf(
      chat(message("system", "Be brief."), message("user", "2+2?"), message("developer", "In words.")),
    );
    assert.deepStrictEqual(body, {
      model: "m",
      messages: [{ role: "user", content: [{ type: "text", text: "2+2?" }] }],
      stream: true,
      system: "Be brief.\n\nIn words.",
      max_tokens: 9,
      stop_sequences: ["\n"],
      temperature: 0.5,
      top_k: 40,
    });
  });

  it("has images as blocks between the texts", () => {
    const asked = message("user", "What is this?");
    const { messages } = bodyOf(
      chat({
        ...asked,
        content: [
          { type: "image", source: { data: png }, mediaType: "" },
          ...asked.content,
          ...asked.content,
          { type: "image", source: { url: "https://example.com/a.png" }, mediaType: "" },
        ],
      }),
    );
    const data = Buffer.from(png).toString("base64");
    assert.deepStrictEqual(messages, [
      {
        role: "user",
        content: [
          { type: "image", source: { type: "base64", media_type: "image/png", data } },
          { type: "text", text: "What is this?What is this?" },
          { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
        ],
      },
    ]);
  });

  it("has calls and their results as blocks, and those of one side in one message", () => {
    const call = { id: "x", name: "add", arguments: '{"a": 1}' };
    const { messages } = bodyOf(
      chat(
        message("user", "Add."),
        { ...message("assistant", "Well."), toolCalls: [call, { ...call, id: "y", arguments: "" }] },
        { ...message("tool", "1"), toolCallId: "x", name: "add" },
        { ...message("tool", "0"), toolCallId: "y", name: "add" },
        message("user", "And?"),
      ),
    );
    assert.deepStrictEqual(messages, [
      { role: "user", content: [{ type: "text", text: "Add." }] },
      {
        role: "assistant",
        content: [
          { type: "text", text: "Well." },
          { type: "tool_use", id: "x", name: "add", input: { a: 1 } },
          { type: "tool_use", id: "y", name: "add", input: {} },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "x", content: "1" },
          { type: "tool_result", tool_use_id: "y", content: "0" },
          { type: "text", text: "And?" },
        ],
      },
    ]);
  });

  it("has tools and their choice only where there are tools", () => {
    const input: ChatInput = { ...chat(message("user", "?")), toolChoice: { mode: "function", name: "add" } };
    assert.notProperty(bodyOf(input), "tool_choice");
    const tools = [{ name: "add", description: "Adds", parameters: undefined }];
    assert.deepInclude(bodyOf({ ...input, tools }), {
      tools: [{ name: "add", description: "Adds", input_schema: { type: "object", properties: {} } }],
      tool_choice: { type: "tool", name: "add" },
    });
    assert.deepInclude(bodyOf({ ...input, tools, toolChoice: { mode: "required" } }), { tool_choice: { type: "any" } });
    assert.deepInclude(bodyOf({ ...input, tools, toolChoice: { mode: "none" } }), { tool_choice: { type: "none" } });
  });

  it("asks for thinking only where a budget is given, and then for no sampling", () => {
    const body = bodyOf(chat(message("user", "?")), { maxTokens: 2048 });
    assert.deepInclude(body, { thinking: { type: "enabled", budget_tokens: 2048 } });
    for (const name of ["temperature", "top_k", "top_p"]) assert.notProperty(body, name);
    assert.notProperty(bodyOf(chat(message("user", "?")), { maxTokens: 0 }), "thinking");
  });
});
