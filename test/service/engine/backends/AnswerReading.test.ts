/** What readings of answers have in common, by each form of API. */
import { assert, describe, it } from "vitest";

import { MessageReading } from "../../../../src/service/engine/anthropic/MessageReading.ts";
import { AnswerUnreadable, BackendSays } from "../../../../src/service/engine/backends/problems.ts";
import type { EngineEvent } from "../../../../src/service/engine/Engine.ts";
import { ChatReading } from "../../../../src/service/engine/openai/ChatReading.ts";

const calls = (members: object) => ({ choices: [{ delta: { tool_calls: [members] }, finish_reason: null }] });
const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;

const forms = [
  {
    name: "chat completions",
    Reading: ChatReading,
    text: { choices: [{ delta: { content: "a" }, finish_reason: null }] },
    call: (written: string) => [calls({ index: 0, id: "x", function: { name: "add", arguments: written } })],
    deepCall: `{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": ${nested}}}]}}]}`,
    error: '{"error": {"message": "no"}}',
  },
  {
    name: "messages",
    Reading: MessageReading,
    text: { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "a" } },
    call: (written: string) => [
      { type: "content_block_start", index: 1, content_block: { type: "tool_use", id: "x", name: "add" } },
      { type: "content_block_delta", index: 1, delta: { type: "input_json_delta", partial_json: written } },
    ],
    deepCall: `{"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "input": ${nested}}}`,
    error: '{"type": "error", "error": {"message": "no"}}',
  },
] as const;

describe.each(forms)("an answer of $name", ({ Reading, text, call, deepCall, error }) => {
  const begin = () => {
    const events: EngineEvent[] = [];
    const reading = new Reading({
      tools: [],
      topLogprobs: undefined,
      estimatedPromptTokens: 5,
      onEvent: (event) => void events.push(event),
    });
    return { events, reading, read: (event: object) => reading.read(JSON.stringify(event)) };
  };

  it("has output from its first text on, and is not read any more when it is finished", () => {
    const { events, reading, read } = begin();
    assert.isFalse(reading.hasOutput);
    read(text);
    assert.isTrue(reading.hasOutput);
    reading.finish("cancelled");
    assert.isTrue(reading.isFinished);
    read(text);
    reading.end();
    reading.finish("time-budget");
    assert.lengthOf(events, 2);
    assert.deepInclude(events[1], { type: "finished", reason: "cancelled" });
  });

  it("is not whole without the reason for its end", () => {
    const { reading, read } = begin();
    read(text);
    assert.throws(() => reading.end(), AnswerUnreadable, "ends without a");
  });

  it("is read as far as answers go", () => {
    const { reading } = begin();
    const long = JSON.stringify({ type: "ping", padding: "x".repeat(1024 ** 2) });
    assert.throws(() => {
      for (let count = 0; count < 64; count++) reading.read(long);
    }, /longer than 67108864 characters/);
  });

  it("has arguments of its calls that are not too long to be checked", () => {
    const { read } = begin();
    const events = call("x".repeat(600_000));
    for (const event of events) read(event);
    assert.throws(() => {
      for (const event of events) read(event);
    }, /the arguments of its tool calls are longer than 1048576 characters/);
  });

  it("has no values that are nested too deep to be written", () => {
    const { reading } = begin();
    assert.throws(() => reading.read(deepCall), AnswerUnreadable, "nested more than 256 deep");
  });

  it("may tell of an error, which is kept as the server wrote it", () => {
    const { reading } = begin();
    let thrown: unknown;
    try {
      reading.read(error);
    } catch (cause) {
      thrown = cause;
    }
    assert.instanceOf(thrown, BackendSays);
    assert.deepInclude(thrown, { body: error });
  });
});
