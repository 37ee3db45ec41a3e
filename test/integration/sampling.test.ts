/** What callers see of candidates, logprobs, bias and echoed prompts: real clients, a real service, the demo model. */
import { assert, describe, it } from "@effect/vitest";

import { createMlxdClient, type GenerationParameters } from "../../src/client/node.ts";
import { startService } from "../support/running-service.ts";
import { serveForTests } from "../support/served-client.ts";

const served = serveForTests();

const question = "What is 2+2? Answer at length, please, and tell how it is found, step by step, with numbers.";
const wild: GenerationParameters = { temperature: 1.5, topP: 1, maxOutputTokens: 24, ignoreEos: true, tokenIds: true };
const utf8 = (parts: ReadonlyArray<{ readonly raw: Uint8Array }>) => Buffer.concat(parts.map(({ raw }) => raw));

describe("candidates", () => {
  it("are each what a single run with their seed gives", async () => {
    const seed = 2 ** 32 - 5;
    const together = await served.client.generate(question, { ...wild, seed, candidateCount: 5 });
    assert.deepStrictEqual(
      together.candidates.map(({ index }) => index),
      [0, 1, 2, 3, 4],
    );
    for (const { index, text, tokenIds } of together.candidates) {
      const alone = await served.client.generate(question, { ...wild, seed: (seed + index * 2_654_435_769) % 2 ** 32 });
      assert.deepStrictEqual([text, tokenIds], [alone.text, alone.tokenIds], `candidate ${index}`);
    }
    assert.isAbove(new Set(together.candidates.map(({ text }) => text)).size, 1, "the seeds differ, so do texts");
    assert.strictEqual(together.parameters.seed, seed);
    assert.strictEqual(together.usage.outputTokens, 5 * 24);
    assert.deepStrictEqual(together.candidates[0]?.text, together.text);
  });

  it("stream apart, each to an end of its own, and join to the unary result", async () => {
    const parameters = {
      ...wild,
      ignoreEos: false,
      temperature: 1.2,
      maxOutputTokens: 120,
      seed: 3,
      candidateCount: 8,
    };
    const unary = await served.client.generate("Count to five.", parameters);
    const ends: number[] = [];
    const stream = served.client.stream("Count to five.", { ...parameters, flushTokens: 3 });
    for await (const event of stream) if (event.type === "finished") ends.push(event.candidateIndex);
    const streamed = await stream.collect();
    assert.deepStrictEqual(
      ends.toSorted((a, b) => a - b),
      [0, 1, 2, 3, 4, 5, 6, 7],
    );
    assert.deepStrictEqual(
      streamed.candidates.map(({ text, finishReason }) => [text, finishReason]),
      unary.candidates.map(({ text, finishReason }) => [text, finishReason]),
    );
    assert.strictEqual(streamed.usage.outputTokens, unary.usage.outputTokens);
    assert.strictEqual(streamed.usage.promptTokens, unary.usage.promptTokens);
  });

  it("count by their places, where the engine has fewer of them too", async () => {
    const narrow = await startService({ MLXD_MAX_RUNNING: "2" });
    const own = createMlxdClient({ baseUrl: narrow.url });
    const wide = await own.generate(question, { ...wild, seed: 9, candidateCount: 4 });
    const expected = await served.client.generate(question, { ...wild, seed: 9, candidateCount: 4 });
    assert.deepStrictEqual(
      wide.candidates.map(({ text }) => text),
      expected.candidates.map(({ text }) => text),
    );
    own.close();
    await narrow.stop();
  });
});

describe("logprobs", () => {
  it("come one for each output token, with bytes that join to the text", async () => {
    for (const topLogprobs of [0, 20]) {
      const result = await served.client.generate(question, { ...wild, seed: 11, topLogprobs });
      assert.deepStrictEqual(
        result.logprobs.map(({ tokenId }) => tokenId),
        result.tokenIds,
      );
      const written = result.logprobs.filter(({ text }) => !text.startsWith("<|"));
      assert.strictEqual(utf8(written).toString(), result.text);
      for (const { logprob = NaN, top } of result.logprobs) {
        assert.isAtMost(logprob, 0);
        assert.strictEqual(top.length, topLogprobs);
        const sum = top.reduce((total, one) => total + Math.exp(one.logprob), 0);
        assert.isAtMost(sum, 1.0001);
        for (const [rank, one] of top.entries()) assert.isAtMost(one.logprob, top[rank - 1]?.logprob ?? 0);
      }
    }
    const greedy = await served.client.generate(question, { temperature: 0, topLogprobs: 1 });
    for (const { tokenId, top } of greedy.logprobs) assert.strictEqual(top[0]?.tokenId, tokenId);
    assert.deepStrictEqual((await served.client.generate(question, wild)).logprobs, []);
  });

  it("of a prompt come with Started, the first token without one", async () => {
    const input = { prompt: "Zwölf 🦊 und 한국어: what is 3+4, and why is it so?" };
    const plain = await served.client.generate(input, { temperature: 0, maxOutputTokens: 4 });
    const results = await Promise.all([
      served.client.generate(input, { temperature: 0, maxOutputTokens: 4, promptLogprobs: true, topLogprobs: 3 }),
      served.client
        .stream(input, { temperature: 0, maxOutputTokens: 4, promptLogprobs: true, topLogprobs: 3 })
        .collect(),
    ]);
    for (const { prompt, text, usage } of results) {
      assert.strictEqual(text, plain.text);
      assert.strictEqual(prompt.length, usage.promptTokens);
      assert.strictEqual(usage.cachedPromptTokens, 0);
      assert.include(utf8(prompt).toString(), input.prompt);
      assert.isUndefined(prompt[0]?.logprob);
      assert.deepStrictEqual(prompt[0]?.top, []);
      for (const { logprob, top } of prompt.slice(1)) {
        assert.isAtMost(logprob ?? NaN, 0);
        assert.strictEqual(top.length, 3);
      }
    }
  });
});

describe("logit bias", () => {
  it("forces a token and forbids one", async () => {
    const free = await served.client.generate(question, { temperature: 0, maxOutputTokens: 6, tokenIds: true });
    const [first = -1] = free.tokenIds;
    const forced = { logitBias: [{ tokenId: 40, bias: 100 }], temperature: 1, maxOutputTokens: 6, tokenIds: true };
    assert.deepStrictEqual((await served.client.generate(question, forced)).tokenIds, [40, 40, 40, 40, 40, 40]);
    const without = { temperature: 0, maxOutputTokens: 6, tokenIds: true, logitBias: [{ tokenId: first, bias: -100 }] };
    assert.notInclude((await served.client.generate(question, without)).tokenIds, first);
  });
});

describe("an echoed prompt", () => {
  it("begins the text, streamed or not, and is no output", async () => {
    const input = { prompt: "One, two, " };
    const parameters = { temperature: 0, maxOutputTokens: 5, tokenIds: true };
    const plain = await served.client.generate(input, parameters);
    const echoed = await served.client.generate(input, { ...parameters, echoPrompt: true, stopSequences: ["One"] });
    assert.strictEqual(echoed.text, `One, two, ${plain.text}`);
    assert.deepStrictEqual(echoed.tokenIds, plain.tokenIds);
    assert.strictEqual(echoed.usage.outputTokens, plain.usage.outputTokens);
    const stream = served.client.stream(input, { ...parameters, echoPrompt: true });
    let text = "";
    for await (const delta of stream.textDeltas()) text += delta;
    assert.strictEqual(text, echoed.text);
    const chat = await served.client.generate("Hi there", { ...parameters, echoPrompt: true });
    assert.match(chat.text, /Hi there/);
  });
});
