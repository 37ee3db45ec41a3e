import { assert, describe, it } from "vitest";

import { MessageReading } from "../../../../src/service/engine/anthropic/MessageReading.ts";
import type { EngineEvent } from "../../../../src/service/engine/Engine.ts";
import { AnswerUnreadable } from "../../../../src/service/engine/backends/problems.ts";

const reader = () => {
  const events: EngineEvent[] = [];
  const reading = new MessageReading({
    tools: [{ name: "add", description: "", parameters: { type: "object", properties: { a: { type: "integer" } } } }],
    topLogprobs: undefined,
    estimatedPromptTokens: 5,
    onEvent: (event) => void events.push(event),
  });
  return { reading, events };
};

const read = (...chunks: ReadonlyArray<object>) => {
  const { reading, events } = reader();
  for (const each of chunks) reading.read(JSON.stringify(each));
  const outputs = events.filter((event) => event.type === "output");
  return {
    text: outputs.map(({ text }) => text).join(""),
    reasoning: outputs.map(({ reasoning }) => reasoning).join(""),
    toolCalls: outputs.flatMap(({ toolCalls }) => toolCalls),
    finished: events.at(-1),
  };
};

const delta = (index: number, members: object) => ({ type: "content_block_delta", index, delta: members });
const call = (index: number, id: string, input: object = {}) => ({
  type: "content_block_start",
  index,
  content_block: { type: "tool_use", id, name: "add", input },
});
const end = (stop_reason: string, members: object = {}) => [
  { type: "message_delta", delta: { stop_reason, ...members }, usage: { output_tokens: 9 } },
  { type: "message_stop" },
];

describe("a streamed message", () => {
  it("has its thinking apart, which is signed at the end, and counts of cached tokens among the prompt's", () => {
    const { text, reasoning, finished } = read(
      {
        type: "message_start",
        message: { usage: { input_tokens: 2, cache_read_input_tokens: 30, cache_creation_input_tokens: 400 } },
      },
      { type: "content_block_start", index: 0, content_block: { type: "thinking", thinking: "" } },
      delta(0, { type: "thinking_delta", thinking: "hm" }),
      delta(0, { type: "signature_delta", signature: "abc" }),
      { type: "content_block_stop", index: 0 },
      { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
      delta(1, { type: "text_delta", text: "4" }),
      { type: "something_new", members: 1 },
      ...end("end_turn"),
    );
    assert.deepStrictEqual([text, reasoning], ["4", "hm"]);
    assert.deepInclude(finished, {
      reason: "end-of-sequence",
      cachedPromptTokens: 30,
      usage: { promptTokens: 432, outputTokens: 9, reasoningTokens: 1, estimated: false },
    });
  });

  it("has calls in pieces, by their block, as they were written", () => {
    const { toolCalls, finished } = read(
      call(1, "x"),
      delta(1, { type: "input_json_delta", partial_json: "" }),
      delta(1, { type: "input_json_delta", partial_json: '{"a": ' }),
      call(2, "y", { a: 2 }),
      call(3, "z"),
      delta(1, { type: "input_json_delta", partial_json: "1}" }),
      ...end("tool_use"),
    );
    assert.deepStrictEqual(
      toolCalls.map(({ id, name, arguments: json }) => [id, name, json]),
      [
        ["x", "add", '{"a": 1}'],
        ["y", "add", '{"a":2}'],
        ["z", "add", "{}"],
      ],
    );
    assert.deepInclude(finished, { reason: "tool-calls" });
  });

  it("has calls that do not fit their schema as text, with a warning", () => {
    const { text, toolCalls, finished } = read(
      call(0, "x"),
      delta(0, { type: "input_json_delta", partial_json: '{"a": "one"}' }),
      ...end("tool_use"),
    );
    assert.deepStrictEqual(toolCalls, []);
    assert.strictEqual(text, '{"name": "add", "arguments": {"a": "one"}}');
    assert.deepInclude(finished, { reason: "end-of-sequence" });
  });

  it.each([
    ["max_tokens", "max-output-tokens"],
    ["stop_sequence", "stop-sequence"],
    ["refusal", "content-filter"],
    ["model_context_window_exceeded", "context-length"],
  ] as const)("that stops for %s ends with %s", (reason, told) => {
    assert.deepInclude(read(...end(reason)).finished, { reason: told });
  });

  it("tells which stop sequence it met", () => {
    const { finished } = read(...end("stop_sequence", { stop_sequence: "\n\n" }));
    assert.deepInclude(finished, { matched: { type: "stop-sequence", text: "\n\n" } });
  });

  it("may be ended before it tells counts, which are then estimates", () => {
    const { reading, events } = reader();
    reading.read(JSON.stringify(delta(0, { type: "text_delta", text: "4" })));
    reading.finish("cancelled");
    assert.deepInclude(events.at(-1), {
      usage: { promptTokens: 5, outputTokens: 1, reasoningTokens: 0, estimated: true },
    });
  });

  it("has the counts of the server where it is broken off after they were told", () => {
    const { reading, events } = reader();
    const begun = { type: "message_start", message: { usage: { input_tokens: 2, output_tokens: 1 } } };
    for (const event of [begun, delta(0, { type: "text_delta", text: "4" })]) reading.read(JSON.stringify(event));
    const [last] = end("end_turn");
    reading.read(JSON.stringify(last));
    reading.finish("cancelled");
    assert.deepInclude(events.at(-1), {
      usage: { promptTokens: 2, outputTokens: 9, reasoningTokens: 0, estimated: false },
    });
  });

  it.each([
    [[delta(0, { type: "input_json_delta", partial_json: "{" })], "belongs to no call"],
    [[{ type: "content_block_start", content_block: { type: "text", text: "" } }], "has no index"],
    [end("pause_turn"), 'stop_reason "pause_turn" is unknown'],
    [[{ type: "message_stop" }], "ends without a stop_reason"],
    [Array.from({ length: 129 }, (_, index) => call(index, `c${index}`)), "more than 128 tool calls"],
  ])("is not read where it makes no sense: %#", (chunks, problem) => {
    assert.throws(() => read(...chunks), AnswerUnreadable, problem);
  });
});
