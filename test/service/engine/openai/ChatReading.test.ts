import { assert, describe, it } from "vitest";

import type { EngineEvent } from "../../../../src/service/engine/Engine.ts";
import { OptionRefused } from "../../../../src/service/engine/backends/problems.ts";
import { ChatReading } from "../../../../src/service/engine/openai/ChatReading.ts";

const read = (...chunks: ReadonlyArray<object>) => readWith(undefined, ...chunks);

const readWith = (topLogprobs: number | undefined, ...chunks: ReadonlyArray<object>) => {
  const events: EngineEvent[] = [];
  const reading = new ChatReading({
    tools: [
      {
        name: "add",
        description: "",
        parameters: { type: "object", properties: { a: { type: "integer" } } },
      },
    ],
    topLogprobs,
    estimatedPromptTokens: 5,
    onEvent: (event) => void events.push(event),
  });
  for (const each of chunks) reading.read(JSON.stringify(each));
  reading.read("[DONE]");
  const outputs = events.filter((event) => event.type === "output");
  return {
    text: outputs.map(({ text }) => text),
    reasoning: outputs.map(({ reasoning }) => reasoning).join(""),
    toolCalls: outputs.flatMap(({ toolCalls }) => toolCalls),
    logprobs: outputs.flatMap(({ logprobs }) => logprobs),
    finished: events.at(-1),
  };
};

const delta = (members: object, finish_reason: string | null = null) => ({
  choices: [{ delta: members, finish_reason }],
});
const call = (members: object) => delta({ tool_calls: [members] });

describe("a streamed chat completion", () => {
  it.each(["reasoning", "reasoning_content"])("has its reasoning in %s", (name) => {
    const { text, reasoning, finished } = read(delta({ [name]: "hm" }), delta({ content: "4" }), delta({}, "stop"));
    assert.deepStrictEqual([text.join(""), reasoning], ["4", "hm"]);
    assert.deepInclude(finished, {
      usage: { promptTokens: 5, outputTokens: 2, reasoningTokens: 1, estimated: true },
    });
  });

  it("may be the continuation of a text", () => {
    const piece = (text: string, finish_reason: string | null = null) => ({ choices: [{ text, finish_reason }] });
    const { text, finished } = read(piece("b"), piece(" c"), piece("", "length"));
    assert.deepStrictEqual(text, ["b", " c"]);
    assert.deepInclude(finished, { reason: "max-output-tokens" });
  });

  it("has the logprobs that were asked for, as many tokens as these tell, also of a character in parts", () => {
    const entry = (token: string, logprob: number, rest: object = {}) => ({ token, logprob, ...rest });
    const piece = (content: string, ...of: ReadonlyArray<object>) => ({
      choices: [{ delta: { content }, logprobs: { content: of } }],
    });
    const { logprobs, finished } = readWith(
      1,
      { choices: [{ delta: { role: "assistant", content: "" }, logprobs: null }] },
      piece("Fo", entry("Fo", -0.1, { id: 7, top_logprobs: [entry("Xo", -3), entry("Fo", -0.1)] })),
      piece("", entry("\ufffd", -1, { bytes: [0xf0, 0x9f] })),
      piece("🙂", entry("\ufffd", -2, { bytes: [0x99, 0x82] })),
      delta({}, "stop"),
    );
    assert.deepStrictEqual(
      logprobs.map(({ tokenId, text, logprob }) => [tokenId, text, logprob]),
      [
        [7, "Fo", -0.1],
        [0, "\ufffd", -1],
        [0, "\ufffd", -2],
      ],
    );
    assert.deepStrictEqual(
      logprobs[0]?.top.map(({ text }) => text),
      ["Fo"],
    );
    assert.strictEqual(Buffer.concat(logprobs.map(({ raw }) => raw)).toString(), "Fo🙂");
    assert.deepInclude(finished, { usage: { promptTokens: 5, outputTokens: 3, reasoningTokens: 0, estimated: true } });
  });

  it("is not taken without the logprobs that were asked for", () => {
    assert.throws(() => readWith(0, delta({ content: "4" })), OptionRefused);
  });

  it("has not more logprobs than can be kept", () => {
    const entry = { token: "", logprob: 0 };
    const tokens = Array.from({ length: 2_000 }, () => ({
      ...entry,
      top_logprobs: Array.from({ length: 20 }, () => entry),
    }));
    const piece = { choices: [{ delta: { content: "a" }, logprobs: { content: tokens } }] };
    const pieces = Array.from({ length: 25 }, () => piece);
    assert.throws(() => readWith(20, ...pieces), /it has more than 1048576 logprobs/);
  });

  it("may be ended by the server for its content", () => {
    const { text, finished } = read(delta({ content: "The" }), delta({}, "content_filter"));
    assert.deepStrictEqual(text, ["The"]);
    assert.deepInclude(finished, { reason: "content-filter" });
  });

  it("may have a character in two pieces", () => {
    const { text } = read(
      delta({ content: "a\ud83d" }),
      delta({ content: "\ude00b" }),
      delta({ content: "\ud83d" }, "stop"),
    );
    assert.deepStrictEqual(text, ["a", "😀b", "\ufffd"]);
  });

  it("has calls in pieces, by their index", () => {
    const { toolCalls, finished } = read(
      call({ index: 0, id: "x", function: { name: "add", arguments: "" } }),
      call({ index: 1, id: "y", function: { name: "add", arguments: '{"a": ' } }),
      call({ index: 0, function: { arguments: '{"a":1}' } }),
      call({ index: 1, function: { arguments: "2}" } }),
      delta({}, "tool_calls"),
    );
    assert.deepStrictEqual(toolCalls, [
      { index: 0, id: "x", name: "add", arguments: '{"a":1}' },
      { index: 1, id: "y", name: "add", arguments: '{"a": 2}' },
    ]);
    assert.deepInclude(finished, { reason: "tool-calls", warnings: [] });
  });

  it("may number all its calls 0, and end with stop", () => {
    const { toolCalls, finished } = read(
      call({ index: 0, id: "x", function: { name: "add", arguments: '{"a":1}' } }),
      call({ index: 0, id: "y", function: { name: "add", arguments: '{"a":2}' } }),
      delta({}, "stop"),
    );
    assert.deepStrictEqual(
      toolCalls.map(({ id }) => id),
      ["x", "y"],
    );
    assert.deepInclude(finished, { reason: "tool-calls" });
  });

  it.each([
    ["is unknown", "sub", "{}", "unknown-tool"],
    ["does not fit", "add", '{"a":"x"}', "invalid-arguments"],
    ["is cut off", "add", '{"a":', "malformed-tool-call"],
  ])("has a call as text with a warning where it %s", (_, name, written, kind) => {
    const { text, toolCalls, finished } = read(
      call({ index: 0, id: "x", function: { name, arguments: written } }),
      delta({}, "tool_calls"),
    );
    assert.deepStrictEqual(toolCalls, []);
    assert.include(text.join(""), written);
    assert.deepInclude(finished, { reason: "end-of-sequence" });
    assert.strictEqual(finished?.type === "finished" ? finished.warnings[0]?.kind : "", kind);
  });

  it("ends at its limit with max-output-tokens, and in no way that is unknown", () => {
    assert.deepInclude(read(delta({ content: "a" }, "length")).finished, { reason: "max-output-tokens" });
    assert.throws(() => read(delta({ content: "a" }, "a_whim")), /"a_whim" is unknown/);
    assert.throws(() => read(delta({ content: "a" })), /ends without a finish_reason/);
  });
});
