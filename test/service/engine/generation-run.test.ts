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
});
