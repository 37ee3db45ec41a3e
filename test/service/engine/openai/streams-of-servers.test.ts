/**
 * The streams of real servers, as their documentation and sources have them: each with the fields that it alone has, in the order in which
 * it sends them. All answer a question with "4." and, where the server tells it apart, with reasoning before.
 */
import { createParser } from "eventsource-parser";
import { assert, describe, it } from "vitest";

import type { EngineEvent } from "../../../../src/service/engine/Engine.ts";
import { ChatReading } from "../../../../src/service/engine/openai/ChatReading.ts";

const calculator = {
  name: "calculator",
  description: "",
  parameters: { type: "object", properties: { expression: { type: "string" } }, required: ["expression"] },
};

/** As a server sends it: an object is an event, a text a line of its own. */
const stream = (...parts: readonly (object | string)[]): string =>
  parts.map((part) => `${typeof part === "string" ? part : `data: ${JSON.stringify(part)}`}\n\n`).join("");

const read = (text: string) => {
  const events: EngineEvent[] = [];
  const reading = new ChatReading({
    tools: [calculator],
    topLogprobs: undefined,
    estimatedPromptTokens: 99,
    onEvent: (e) => void events.push(e),
  });
  const parser = createParser({ onEvent: ({ data }) => reading.read(data) });
  parser.feed(text);
  reading.end();
  const outputs = events.filter((event) => event.type === "output");
  const end = events.at(-1);
  if (end?.type !== "finished") return assert.fail("it has no end");
  return {
    text: outputs.map((output) => output.text).join(""),
    reasoning: outputs.map((output) => output.reasoning).join(""),
    calls: outputs.flatMap((output) => output.toolCalls),
    reason: end.reason,
    cachedPromptTokens: end.cachedPromptTokens,
    usage: end.usage,
    warnings: end.warnings,
  };
};

const counts = (promptTokens: number, outputTokens: number, reasoningTokens = 0) => ({
  promptTokens,
  outputTokens,
  reasoningTokens,
  estimated: false,
});

describe("the stream of", () => {
  it("OpenAI", () => {
    const chunk = (choices: readonly object[], usage: object | null = null) => ({
      id: "chatcmpl-C9a",
      object: "chat.completion.chunk",
      created: 1_760_000_000,
      model: "gpt-5-mini-2025-08-07",
      service_tier: "default",
      system_fingerprint: null,
      choices,
      usage,
      obfuscation: "x7Qp",
    });
    const choice = (delta: object, finish_reason: string | null = null) => [
      { index: 0, delta, logprobs: null, finish_reason },
    ];
    const usage = {
      prompt_tokens: 14,
      completion_tokens: 74,
      total_tokens: 88,
      prompt_tokens_details: { cached_tokens: 8, audio_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 64, audio_tokens: 0, accepted_prediction_tokens: 0 },
    };
    const answer = read(
      stream(
        chunk(choice({ role: "assistant", content: "", refusal: null })),
        chunk(choice({ content: "4" })),
        chunk(choice({ content: "." })),
        chunk(choice({}, "stop")),
        chunk([], usage),
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reason: "end-of-sequence", cachedPromptTokens: 8 });
    assert.deepEqual(answer.usage, counts(14, 74, 64));
  });

  it("OpenAI, with calls of tools in pieces", () => {
    const choice = (delta: object, finish_reason: string | null = null) => ({
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      usage: null,
    });
    const piece = (index: number, written: object, id?: string) =>
      choice({ tool_calls: [{ index, ...(id !== undefined && { id, type: "function" }), function: written }] });
    const { calls, reason, warnings } = read(
      stream(
        choice({ role: "assistant", content: null }),
        piece(0, { name: "calculator", arguments: "" }, "call_a"),
        piece(0, { arguments: '{"expres' }),
        piece(0, { arguments: 'sion":"2+2"}' }),
        piece(1, { name: "calculator", arguments: "" }, "call_b"),
        piece(1, { arguments: '{"expression":"3+3"}' }),
        choice({}, "tool_calls"),
        "data: [DONE]",
      ),
    );
    assert.strictEqual(reason, "tool-calls");
    assert.isEmpty(warnings);
    assert.deepStrictEqual(
      calls.map(({ id, arguments: written }) => [id, written]),
      [
        ["call_a", '{"expression":"2+2"}'],
        ["call_b", '{"expression":"3+3"}'],
      ],
    );
  });

  it("vLLM, with a model that reasons", () => {
    const chunk = (choices: readonly object[], more: object = {}) => ({
      id: "chatcmpl-9f",
      object: "chat.completion.chunk",
      created: 1_760_000_000,
      model: "Qwen/Qwen3-8B",
      choices,
      ...more,
    });
    const choice = (delta: object, finish_reason: string | null = null) => [
      { index: 0, delta, logprobs: null, finish_reason, stop_reason: null, token_ids: null },
    ];
    const answer = read(
      stream(
        chunk(choice({ role: "assistant", content: "", reasoning_content: null }), { prompt_token_ids: null }),
        chunk(choice({ reasoning_content: "2 and 2" })),
        chunk(choice({ reasoning_content: " make 4" })),
        chunk(choice({ content: "4." })),
        chunk(choice({ content: "", reasoning_content: null }, "stop")),
        chunk([], {
          usage: { prompt_tokens: 12, total_tokens: 22, completion_tokens: 10, prompt_tokens_details: null },
        }),
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reasoning: "2 and 2 make 4", reason: "end-of-sequence" });
    // It does not tell how many tokens were reasoning: a piece is about one.
    assert.deepEqual(answer.usage, counts(12, 10, 2));
  });

  it("llama.cpp", () => {
    const chunk = (choices: readonly object[], more: object = {}) => ({
      choices,
      created: 1_760_000_000,
      id: "chatcmpl-Ab",
      model: "qwen3-8b",
      system_fingerprint: "b6700-3df2244d",
      object: "chat.completion.chunk",
      ...more,
    });
    const choice = (delta: object, finish_reason: string | null = null) => [{ finish_reason, index: 0, delta }];
    const answer = read(
      stream(
        chunk(choice({ role: "assistant", content: null })),
        chunk(choice({ reasoning_content: "easy" })),
        chunk(choice({ content: "4" })),
        chunk(choice({ content: "." })),
        chunk(choice({}, "length")),
        chunk([], {
          usage: { completion_tokens: 3, prompt_tokens: 11, total_tokens: 14 },
          timings: { cache_n: 4, prompt_n: 7, prompt_ms: 41.9, predicted_n: 3, predicted_ms: 60.2 },
        }),
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reasoning: "easy", reason: "max-output-tokens" });
    assert.deepEqual(answer.usage, counts(11, 3, 1));
  });

  it("Ollama", () => {
    const chunk = (choices: readonly object[], more: object = {}) => ({
      id: "chatcmpl-573",
      object: "chat.completion.chunk",
      created: 1_760_000_000,
      model: "qwen3:8b",
      system_fingerprint: "fp_ollama",
      choices,
      ...more,
    });
    const choice = (delta: object, finish_reason: string | null = null) => [
      { index: 0, delta: { role: "assistant", content: "", ...delta }, finish_reason },
    ];
    const answer = read(
      stream(
        chunk(choice({ reasoning: "easy" })),
        chunk(choice({ content: "4" })),
        chunk(choice({ content: "." })),
        chunk(choice({}, "stop")),
        chunk([], { usage: { prompt_tokens: 18, completion_tokens: 4, total_tokens: 22 } }),
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reasoning: "easy", reason: "end-of-sequence" });
    assert.deepEqual(answer.usage, counts(18, 4, 1));
  });

  it("Ollama, with a whole call in one piece, and stop as its reason", () => {
    const call = {
      id: "call_k3",
      index: 0,
      type: "function",
      function: { name: "calculator", arguments: '{"expression":"2+2"}' },
    };
    const { calls, reason } = read(
      stream(
        { choices: [{ index: 0, delta: { role: "assistant", content: "", tool_calls: [call] }, finish_reason: null }] },
        { choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: "stop" }] },
        "data: [DONE]",
      ),
    );
    assert.strictEqual(reason, "tool-calls");
    assert.lengthOf(calls, 1);
  });

  it("LM Studio", () => {
    const chunk = (choices: readonly object[], more: object = {}) => ({
      id: "chatcmpl-u8",
      object: "chat.completion.chunk",
      created: 1_760_000_000,
      model: "qwen/qwen3-8b",
      system_fingerprint: "qwen/qwen3-8b",
      choices,
      ...more,
    });
    const choice = (delta: object, finish_reason: string | null = null) => [
      { index: 0, delta, logprobs: null, finish_reason },
    ];
    const answer = read(
      stream(
        chunk(choice({ role: "assistant", content: "4" })),
        chunk(choice({ content: "." })),
        chunk(choice({}, "stop")),
        chunk([], { usage: { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 } }),
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reasoning: "", reason: "end-of-sequence" });
    assert.deepEqual(answer.usage, counts(9, 2));
  });

  it("mlx_lm.server, which tells of its prefill in comments", () => {
    const chunk = (choices: readonly object[], more: object = {}) => ({
      id: "chatcmpl-0d",
      system_fingerprint: "0.32.2-0.32.4-Linux-x86_64",
      object: "chat.completion.chunk",
      model: "/srv/models/demo",
      created: 1_760_000_000,
      choices,
      ...more,
    });
    const choice = (delta: object, finish_reason: string | null = null) => [
      { index: 0, finish_reason, delta: { role: "assistant", ...delta } },
    ];
    const answer = read(
      stream(
        ": keepalive 0/2048",
        ": keepalive 2048/2048",
        chunk(choice({ content: "4" })),
        chunk(choice({ content: "." })),
        chunk(choice({ content: "" }, "stop")),
        chunk([], {
          usage: {
            prompt_tokens: 15,
            completion_tokens: 3,
            total_tokens: 18,
            prompt_tokens_details: { cached_tokens: 4 },
          },
        }),
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reason: "end-of-sequence", cachedPromptTokens: 4 });
    assert.deepEqual(answer.usage, counts(15, 3));
  });

  it("OpenRouter, which comments while it waits, and has its usage in the last chunk", () => {
    const chunk = (delta: object, finish_reason: string | null = null, more: object = {}) => ({
      id: "gen-1760000000-q",
      provider: "Fireworks",
      model: "qwen/qwen3-8b",
      object: "chat.completion.chunk",
      created: 1_760_000_000,
      choices: [{ index: 0, delta, finish_reason, native_finish_reason: finish_reason, logprobs: null }],
      ...more,
    });
    const details = [{ type: "reasoning.text", text: "easy", format: "unknown", index: 0 }];
    const answer = read(
      stream(
        ": OPENROUTER PROCESSING",
        ": OPENROUTER PROCESSING",
        chunk({ role: "assistant", content: "", reasoning: "easy", reasoning_details: details }),
        chunk({ role: "assistant", content: "4." }),
        chunk({ role: "assistant", content: "" }, "stop"),
        chunk({ role: "assistant", content: "" }, null, {
          usage: { prompt_tokens: 10, completion_tokens: 6, total_tokens: 16, cost: 0.000_01, is_byok: false },
        }),
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reasoning: "easy", reason: "end-of-sequence" });
    assert.deepEqual(answer.usage, counts(10, 6, 1));
  });

  it("Groq, which tells its usage twice", () => {
    const chunk = (delta: object, finish_reason: string | null = null, more: object = {}) => ({
      id: "chatcmpl-77",
      object: "chat.completion.chunk",
      created: 1_760_000_000,
      model: "openai/gpt-oss-20b",
      system_fingerprint: "fp_44136fa355",
      choices: [{ index: 0, delta, logprobs: null, finish_reason }],
      ...more,
    });
    const usage = { queue_time: 0.02, prompt_tokens: 13, completion_tokens: 5, total_tokens: 18, total_time: 0.01 };
    const answer = read(
      stream(
        chunk({ role: "assistant", content: "", channel: "analysis", reasoning: "" }, null, {
          x_groq: { id: "req_01" },
        }),
        chunk({ channel: "analysis", reasoning: "easy" }),
        chunk({ channel: "final", content: "4." }),
        chunk({}, "stop", { x_groq: { id: "req_01", usage } }),
        { ...chunk({}), choices: [], usage },
        "data: [DONE]",
      ),
    );
    assert.deepInclude(answer, { text: "4.", reasoning: "easy", reason: "end-of-sequence" });
    assert.deepEqual(answer.usage, counts(13, 5, 1));
  });
});
