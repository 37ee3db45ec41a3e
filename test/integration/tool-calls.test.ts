/** The demo model calls a calculator, through the real service and the client, and answers with its result. */
import { assert, describe, it } from "@effect/vitest";

import {
  assistantMessage,
  type Candidate,
  type ChatInput,
  type GenerationParameters,
  type GenerationResult,
  toolMessage,
} from "../../src/client/node.ts";
import { serveForTests } from "../support/served-client.ts";

const served = serveForTests();

const calculator = {
  name: "calculator",
  description: "Evaluates an arithmetic expression.",
  parameters: { type: "object", properties: { expression: { type: "string" } }, required: ["expression"] },
};
const conversation: ChatInput = {
  messages: [{ role: "user", content: "What is 123 * 45?" }],
  tools: [calculator],
};

/** What must be the same however it is asked; ids of calls are random. */
const essence = ({ text, toolCalls, finishReason, tokenIds, warnings }: Omit<Candidate, "index">) => ({
  text,
  calls: toolCalls.map(({ name, arguments: json }) => [name, json]),
  finishReason,
  tokenIds,
  kinds: warnings.map(({ kind }) => kind),
});

/** Asks in every way; all must say the same. */
const ask = async (input: ChatInput, parameters: GenerationParameters = {}): Promise<GenerationResult> => {
  const options = { ...parameters, tokenIds: true };
  const unary = await served.client.generate(input, options);
  const streamed = await served.client.stream(input, options).collect();
  const coalesced = await served.client.stream(input, { ...options, flushTokens: 1000 }).collect();
  const batch = await served.client.batch([{ input, ...options }]).collect();
  for (const other of [streamed, coalesced, batch.items[0]?.result]) {
    assert.deepStrictEqual(other?.candidates.map(essence), unary.candidates.map(essence));
  }
  return unary;
};

describe("a tool", () => {
  it("is called, and its result is answered from", async () => {
    const asked = await ask(conversation);
    assert.deepStrictEqual(essence(asked).calls, [["calculator", '{"expression": "123*45"}']]);
    assert.strictEqual(asked.text, "");
    assert.strictEqual(asked.finishReason, "tool_calls");
    assert.isUndefined(asked.matched);
    const [call] = asked.toolCalls;
    assert.isDefined(call);
    const messages = [...conversation.messages, assistantMessage(asked), toolMessage(call, "5535")];
    const answered = await ask({ ...conversation, messages });
    assert.match(answered.text, /5535/);
    assert.deepStrictEqual(answered.toolCalls, []);
    assert.strictEqual(answered.finishReason, "end_of_sequence");
  });

  it("that does not fit the call is not called: the call is text, with a warning", async () => {
    const parameters = { type: "object", properties: { expression: { type: "number" } } };
    const { text, toolCalls, finishReason, warnings } = await ask({
      ...conversation,
      tools: [{ ...calculator, parameters }],
    });
    assert.strictEqual(
      text,
      '<tool_call>\n{"name": "calculator", "arguments": {"expression": "123*45"}}\n</tool_call>',
    );
    assert.deepStrictEqual(toolCalls, []);
    assert.strictEqual(finishReason, "end_of_sequence");
    assert.strictEqual(warnings[0]?.kind, "invalid_arguments");
    assert.match(warnings[0]?.message ?? "", /"calculator".*expression/);
  });

  it("is not called by an output that ends too early", async () => {
    const { text, toolCalls, finishReason, warnings } = await ask(conversation, { maxOutputTokens: 12 });
    assert.match(text, /^<tool_call>\s*\{"name"/);
    assert.deepStrictEqual(toolCalls, []);
    assert.strictEqual(finishReason, "max_output_tokens");
    assert.strictEqual(warnings[0]?.kind, "malformed_tool_call");
  });

  it("is not offered where none is to be called", async () => {
    const { toolCalls } = await ask({ ...conversation, toolChoice: "none" });
    assert.deepStrictEqual(toolCalls, []);
  });

  it("is called in the model's own words where the text is to stay as it is", async () => {
    const { text, toolCalls } = await ask(conversation, { verbatim: true });
    assert.strictEqual(
      text,
      '<tool_call>\n{"name": "calculator", "arguments": {"expression": "123*45"}}\n</tool_call>',
    );
    assert.deepStrictEqual(toolCalls, []);
  });

  it("is called by each of several answers for itself", async () => {
    const parameters = { temperature: 1.5, topP: 1, seed: 5, maxOutputTokens: 48 };
    const { candidates } = await ask(conversation, { ...parameters, candidateCount: 4, topLogprobs: 0 });
    for (const [index, candidate] of candidates.entries()) {
      const seed = (5 + index * 2_654_435_769) % 2 ** 32;
      const alone = await served.client.generate(conversation, { ...parameters, seed, tokenIds: true });
      assert.deepStrictEqual(essence(candidate), essence(alone), `candidate ${index}`);
      assert.deepStrictEqual(
        candidate.logprobs.map(({ tokenId }) => tokenId),
        candidate.tokenIds,
      );
    }
    const ids = candidates.flatMap(({ toolCalls }) => toolCalls.map(({ id }) => id));
    assert.isAtLeast(ids.length, 2);
    assert.strictEqual(new Set(ids).size, ids.length);
  });

  it("is not called by a prompt that is echoed: calls that stand in it stay there", async () => {
    const first = await ask(conversation, { echoPrompt: true });
    assert.match(first.text, /What is 123 \* 45\?/);
    assert.lengthOf(first.toolCalls, 1);
    const [call] = first.toolCalls;
    assert.isDefined(call);
    const asked = assistantMessage({ ...first, text: "" });
    const messages = [...conversation.messages, asked, toolMessage(call, "5535")];
    const answered = await ask({ ...conversation, messages }, { echoPrompt: true });
    assert.match(answered.text, /<tool_call>\s*\{"name": "calculator", "arguments": \{"expression": "123\*45"\}\}/);
    assert.match(answered.text, /5535[^]*5535/);
    assert.deepStrictEqual(answered.toolCalls, []);
    assert.deepStrictEqual(answered.warnings, []);
    assert.strictEqual(answered.finishReason, "end_of_sequence");
  });

  it("is called once in the events of a stream, in a piece that has all of it", async () => {
    const chunks = [];
    for await (const event of served.client.stream(conversation)) if (event.type === "chunk") chunks.push(event);
    const pieces = chunks.flatMap(({ toolCalls }) => toolCalls);
    assert.lengthOf(pieces, 1);
    assert.deepInclude(pieces[0], { index: 0, name: "calculator", arguments: '{"expression": "123*45"}' });
    assert.isTrue(chunks.every(({ text }) => text === ""));
  });
});
