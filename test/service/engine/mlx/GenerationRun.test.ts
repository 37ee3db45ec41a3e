import { assert, describe, it } from "@effect/vitest";

import type { EngineEvent, EngineRequest } from "../../../../src/service/engine/Engine.ts";
import { GenerationRun } from "../../../../src/service/engine/mlx/GenerationRun.ts";
import { readOutput } from "../../../../src/service/engine/read-output.ts";
import { plainReading } from "../../../../src/service/output/parser.ts";
import { createToolSet } from "../../../../src/service/output/tool-set.ts";
import type { Vocabulary } from "../../../../src/service/prompt/Vocabulary.ts";
import { byteVocabulary } from "../../../support/byte-tokenizer.ts";
import { engineRequest } from "../../../support/engine-request.ts";

const start = (
  overrides: Partial<EngineRequest> = {},
  parameters: Partial<EngineRequest["parameters"]> = {},
  vocabulary: Vocabulary = byteVocabulary,
) => {
  const events: EngineEvent[] = [];
  const request: EngineRequest = {
    ...engineRequest("gen_1", { maxOutputTokens: 50, stopTokenIds: [0], ...parameters }),
    promptTokenIds: [1],
    ...overrides,
  };
  const read = readOutput(request, vocabulary, (event) => void events.push(event));
  const run = new GenerationRun(request, 1, read);
  run.admit(0);
  const text = () => events.map((event) => (event.type === "output" ? event.text : "")).join("");
  return { run, events, text };
};

describe("GenerationRun", () => {
  it("tells what was drafted with the next token, and counts only what it took as accepted", () => {
    const { run, events } = start({}, { stopSequences: ["c"] });
    run.token(0x61);
    run.draft(3);
    for (const byte of [0x62, 0x63]) run.token(byte, undefined, true);
    assert.deepStrictEqual(
      events.flatMap((event) => (event.type === "output" ? [event.drafts] : [])),
      [undefined, { drafted: 3, accepted: 1 }, { drafted: 0, accepted: 1 }],
    );
    run.draft(5);
    run.admit(0);
    run.token(0x61);
    assert.notProperty(
      events.findLast(({ type }) => type === "output"),
      "drafts",
      "of the process that died",
    );
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

  it("tells one logprob for each token of reasoning and of a call, too, and none for what is held back to the end", () => {
    const format = { notation: "tagged", reasoningTags: { open: "<think>", close: "</think>" }, cleanUp: [] } as const;
    const tools = createToolSet([{ name: "f", description: "", parameters: undefined }]);
    const reading = { ...plainReading, format, tools };
    const { run, events, text } = start({ reading, topLogprobs: 0 });
    const output = new TextEncoder().encode('<think>hm</think>a<tool_call>{"name": "f"}</tool_call><tool_');
    for (const [place, byte] of output.entries()) run.token(byte, scored(-place));
    run.end("max-output-tokens");
    const outputs = events.filter((event) => event.type === "output");
    assert.deepStrictEqual(
      outputs.flatMap(({ logprobs }) => logprobs.map(({ tokenId, logprob }) => [tokenId, logprob])),
      [...output].map((byte, place) => [byte, -place]),
    );
    for (const { tokenIds, logprobs } of outputs) assert.strictEqual(logprobs.length, tokenIds.length);
    assert.strictEqual(text(), "a<tool_");
    assert.deepStrictEqual(outputs.at(-1)?.tokenIds, []);
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
