import { assert, describe, it } from "@effect/vitest";

import type { EngineEvent, EngineRequest } from "../../../src/service/engine/Engine.ts";
import { GenerationRun } from "../../../src/service/engine/mlx/GenerationRun.ts";
import { byteTokenizer } from "../../support/byte-tokenizer.ts";
import { facts } from "../../support/tasks.ts";

const start = (overrides: Partial<EngineRequest> = {}, parameters: Partial<EngineRequest["parameters"]> = {}) => {
  const events: EngineEvent[] = [];
  const request: EngineRequest = {
    id: "gen_1",
    promptTokenIds: [1],
    parameters: {
      ...facts().defaults,
      seed: 1,
      maxOutputTokens: 50,
      minOutputTokens: 0,
      stopTokenIds: [0],
      ...parameters,
    },
    logitBias: [],
    topLogprobs: undefined,
    promptLogprobs: false,
    eosTokenIds: [0],
    includeStopInOutput: false,
    timeBudgetMs: undefined,
    cache: { mode: "read-write", partition: "" },
    fillsContext: false,
    ...overrides,
  };
  const run = new GenerationRun(request, 1, byteTokenizer, (event) => void events.push(event));
  run.admit(0);
  /** Feeds the bytes of a text; tells whether a stop sequence ended it. */
  const say = (text: string): boolean => [...new TextEncoder().encode(text)].some((byte) => run.token(byte));
  const text = () => events.map((event) => (event.type === "output" ? event.text : "")).join("");
  return { run, events, say, text };
};

describe("GenerationRun", () => {
  it("sends whole characters only, however the tokens cut them", () => {
    const { run, events, say, text } = start();
    say("한국어 👍🏽 é");
    run.end("max-output-tokens");
    assert.strictEqual(text(), "한국어 👍🏽 é");
    for (const event of events) if (event.type === "output") assert.notMatch(event.text, /\uFFFD|[\uD800-\uDBFF]$/);
  });

  it("flushes an incomplete character at the end", () => {
    const { run, text } = start();
    run.token(0xed);
    run.token(0x95);
    run.end("max-output-tokens");
    assert.strictEqual(text(), "\uFFFD");
  });

  it("ends before a stop sequence that comes in pieces", () => {
    const { events, say, text } = start({}, { stopSequences: ["STOP"] });
    assert.isTrue(say("go on S STO STOP and"));
    assert.strictEqual(text(), "go on S STO ");
    assert.deepInclude(events.at(-1), {
      type: "finished",
      reason: "stop-sequence",
      matched: { type: "stop-sequence", text: "STOP" },
    });
  });

  it("gives out what only looked like a stop sequence", () => {
    const { run, say, text } = start({}, { stopSequences: ["STOP"] });
    assert.isFalse(say("ST"));
    assert.strictEqual(text(), "");
    run.end("max-output-tokens");
    assert.strictEqual(text(), "ST");
  });

  it("tells end-of-sequence from a stop token of the task, and puts neither into the text", () => {
    for (const [tokenId, reason] of [
      [0, "end-of-sequence"],
      [65, "stop-token"],
    ] as const) {
      const { run, events, text } = start({}, { stopTokenIds: [0, 65] });
      run.token(tokenId);
      run.end("stop-token");
      assert.strictEqual(text(), "");
      assert.deepInclude(events.at(-1), { reason, matched: { type: "token", tokenId } });
    }
  });

  it("tells a full context from a limit", () => {
    for (const [fillsContext, reason] of [
      [true, "context-length"],
      [false, "max-output-tokens"],
    ] as const) {
      const { run, events } = start({ fillsContext });
      run.end("max-output-tokens");
      assert.deepInclude(events.at(-1), { reason });
    }
  });

  it("begins once, also when it is replayed", () => {
    const { run, events } = start();
    run.admit(0);
    assert.strictEqual(events.filter(({ type }) => type === "admitted").length, 1);
  });

  const scored = (logprob: number, ...top: ReadonlyArray<readonly [number, number]>) => ({
    logprob,
    top: top.map(([tokenId, of]) => ({ tokenId, logprob: of })),
  });

  it("tells each token's own bytes, of which those of a character join", () => {
    const { run, events } = start({ topLogprobs: 1 });
    for (const byte of new TextEncoder().encode("한é")) run.token(byte, scored(-1, [0xff, -0.5]));
    run.end("max-output-tokens");
    const told = events.flatMap((event) => (event.type === "output" ? event.logprobs : []));
    assert.strictEqual(Buffer.concat(told.map(({ raw }) => raw)).toString(), "한é");
    assert.deepStrictEqual(told[0], {
      tokenId: 0xed,
      text: "\uFFFD",
      raw: Uint8Array.of(0xed),
      logprob: -1,
      top: [{ tokenId: 0xff, text: "\uFFFD", raw: Uint8Array.of(0xff), logprob: -0.5 }],
    });
    assert.strictEqual(told.length, 5);
  });

  it("tells the logprob of the token that ends it, too", () => {
    const { run, events } = start({ topLogprobs: 0 });
    run.token(0, scored(-0.25));
    run.end("stop-token");
    const told = events.flatMap((event) => (event.type === "output" ? event.logprobs : []));
    assert.deepStrictEqual(
      told.map(({ tokenId, logprob }) => [tokenId, logprob]),
      [[0, -0.25]],
    );
  });

  it("tells the prompt's logprobs once they are complete, the first token without one, and once when replayed", () => {
    const { run, events } = start({ promptTokenIds: [65, 66, 67, 68], promptLogprobs: true });
    run.promptLogprobs([scored(-1)]);
    // The process died: the next one begins anew.
    run.admit(0);
    run.promptLogprobs([scored(-2, [70, -0.1])]);
    assert.deepStrictEqual(
      events.map(({ type }) => type),
      ["admitted"],
    );
    run.promptLogprobs([scored(-3), scored(-4)]);
    run.admit(0);
    run.promptLogprobs([scored(-2), scored(-3), scored(-4)]);
    const told = events.filter((event) => event.type === "prompt");
    assert.strictEqual(told.length, 1);
    assert.deepStrictEqual(
      told[0]?.tokens.map(({ text, logprob }) => [text, logprob]),
      [
        ["A", undefined],
        ["B", -2],
        ["C", -3],
        ["D", -4],
      ],
    );
    assert.deepStrictEqual(
      told[0]?.tokens[1]?.top.map(({ text, logprob }) => [text, logprob]),
      [["F", -0.1]],
    );
  });

  it("tells a prompt of one token at once", () => {
    const { events } = start({ promptTokenIds: [65], promptLogprobs: true });
    assert.deepStrictEqual(
      events.map(({ type }) => type),
      ["admitted", "prompt"],
    );
  });
});
