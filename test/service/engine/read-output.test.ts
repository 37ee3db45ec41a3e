import { assert, describe, it } from "@effect/vitest";

import type { EngineEvent, EngineRequest, TokenEvent } from "../../../src/service/engine/Engine.ts";
import { readOutput } from "../../../src/service/engine/read-output.ts";
import { byteVocabulary } from "../../support/byte-tokenizer.ts";
import { engineRequest } from "../../support/engine-request.ts";

const start = (overrides: Partial<EngineRequest> = {}) => {
  const events: EngineEvent[] = [];
  const request: EngineRequest = {
    ...engineRequest("gen_1", { stopSequences: ["c"] }),
    promptTokenIds: [65, 66],
    ...overrides,
  };
  return { events, read: readOutput(request, byteVocabulary, (event) => void events.push(event)) };
};

const token = (text: string, drafts?: { readonly drafted: number; readonly accepted: number }): TokenEvent => ({
  type: "token",
  tokenId: text.charCodeAt(0),
  logprobs: undefined,
  drafts,
});

describe("the events of an engine's tokens", () => {
  it("say that the output is complete by what is written, not by how many tokens there are", () => {
    const { events, read } = start();
    assert.deepStrictEqual(
      [{ type: "admitted", cachedPromptTokens: 1 } as const, token("a"), token("b"), token("c")].map(read),
      [false, false, false, true],
    );
    assert.deepInclude(events.at(-1), { type: "finished", reason: "stop-sequence", cachedPromptTokens: 1 });
  });

  it("are admitted once for the caller, who is told what the last admission found in the cache", () => {
    const { events, read } = start();
    for (const cachedPromptTokens of [0, 2]) read({ type: "admitted", cachedPromptTokens });
    assert.isTrue(read({ type: "finished", reason: "cancelled" }));
    assert.deepStrictEqual(
      events.map(({ type }) => type),
      ["admitted", "finished"],
    );
    assert.deepInclude(events.at(-1), { reason: "cancelled", cachedPromptTokens: 2 });
  });

  it("have the texts of the prompt's tokens, of which the first has no logprob", () => {
    const { events, read } = start();
    read({ type: "prompt", logprobs: [undefined, { logprob: -1, top: [{ tokenId: 67, logprob: -0.5 }] }] });
    const tokens = events.flatMap((event) => (event.type === "prompt" ? event.tokens : []));
    assert.deepStrictEqual(
      tokens.map(({ text, logprob, top }) => [text, logprob, ...top.map((each) => each.text)]),
      [
        ["A", undefined],
        ["B", -1, "C"],
      ],
    );
  });

  it("carry what was drafted with the token that it came with", () => {
    const { events, read } = start();
    read(token("a"));
    read(token("b", { drafted: 3, accepted: 1 }));
    assert.deepStrictEqual(
      events.map((event) => event.type === "output" && event.drafts),
      [undefined, { drafted: 3, accepted: 1 }],
    );
  });
});
