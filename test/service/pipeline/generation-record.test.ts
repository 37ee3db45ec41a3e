import { assert, describe, it } from "@effect/vitest";

import type { GenerationEvent } from "../../../src/service/domain/generation-result.ts";
import type { EngineEvent } from "../../../src/service/engine/Engine.ts";
import { collectResult } from "../../../src/service/pipeline/collect-result.ts";
import { GenerationRecord } from "../../../src/service/pipeline/GenerationRecord.ts";
import { facts } from "../../support/tasks.ts";

const parameters = { ...facts().defaults, seed: 1, maxOutputTokens: 9, minOutputTokens: 0, stopTokenIds: [] };

const create = (overrides: { readonly reasons?: boolean; readonly echo?: string } = {}) => {
  const events: GenerationEvent[] = [];
  const record = new GenerationRecord({
    id: "gen_1",
    facts: facts(),
    parameters,
    promptTokens: 5,
    promptLogprobs: false,
    echo: "",
    reasons: true,
    candidateCount: 2,
    receivedAt: 0,
    onBegun: () => {},
    emit: (event) => void events.push(event),
    ...overrides,
  });
  return { record, events };
};

const output = (fields: Partial<Extract<EngineEvent, { type: "output" }>>): EngineEvent => ({
  type: "output",
  text: "",
  reasoning: "",
  toolCalls: [],
  tokens: fields.tokenIds?.length ?? 1,
  tokenIds: [7],
  reasoningTokens: 0,
  logprobs: [],
  ...fields,
});

const end = { type: "finished", reason: "end-of-sequence", matched: undefined, cachedPromptTokens: 0 } as const;
const call = (id: string) => ({ index: 0, id, name: "f", arguments: "{}" });

describe("GenerationRecord", () => {
  it("keeps reasoning, calls, warnings and counts of each candidate apart, however they come", () => {
    const { record, events } = create();
    const warning = { kind: "unknown-tool", message: "there is no g" } as const;
    const steps: ReadonlyArray<readonly [number, EngineEvent]> = [
      [0, { type: "admitted", cachedPromptTokens: 2 }],
      [1, { type: "admitted", cachedPromptTokens: 4 }],
      [0, output({ reasoning: "hm", reasoningTokens: 1 })],
      [1, output({ text: "no" })],
      [1, output({ reasoning: "well", reasoningTokens: 2, tokenIds: [8, 9] })],
      [0, output({ toolCalls: [call("a")] })],
      [1, output({ toolCalls: [call("b")] })],
      [1, { ...end, warnings: [warning] }],
      [0, output({ text: "yes" })],
      [0, { ...end, reason: "tool-calls", cachedPromptTokens: 2, warnings: [] }],
    ];
    for (const [candidateIndex, event] of steps) record.onEngineEvent(candidateIndex, event, 1);
    const { candidates, usage } = collectResult(events);
    assert.deepStrictEqual(
      candidates.map(({ text, reasoning, toolCalls, tokenIds, finished }) => ({
        said: [text, reasoning, ...toolCalls.map(({ id }) => id)],
        tokenIds,
        ended: [finished.finishReason, ...finished.warnings.map(({ kind }) => kind)],
        spent: [finished.usage.outputTokens, finished.usage.reasoningTokens],
      })),
      [
        { said: ["yes", "hm", "a"], tokenIds: [7, 7, 7], ended: ["tool-calls"], spent: [3, 1] },
        {
          said: ["no", "well", "b"],
          tokenIds: [7, 8, 9, 7],
          ended: ["end-of-sequence", "unknown-tool"],
          spent: [4, 2],
        },
      ],
    );
    assert.deepStrictEqual(usage, { promptTokens: 5, cachedPromptTokens: 2, outputTokens: 7, reasoningTokens: 3 });
    assert.deepStrictEqual(record.usage, usage);
  });

  it("counts no reasoning where none is told apart", () => {
    const { record, events } = create({ reasons: false });
    for (const candidateIndex of [0, 1]) {
      record.onEngineEvent(candidateIndex, output({ text: "a" }), 1);
      record.onEngineEvent(candidateIndex, { ...end, warnings: [] }, 1);
    }
    assert.deepStrictEqual(collectResult(events).usage, { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 2 });
  });

  it("adds up what was drafted, and does not speak of it where nothing was", () => {
    const { record, events } = create({ reasons: false });
    record.onEngineEvent(0, output({ drafts: { drafted: 4, accepted: 1 } }), 1);
    record.onEngineEvent(0, output({ drafts: { drafted: 0, accepted: 1 } }), 1);
    record.onEngineEvent(1, output({}), 1);
    for (const candidateIndex of [0, 1]) record.onEngineEvent(candidateIndex, { ...end, warnings: [] }, 1);
    const { candidates, usage } = collectResult(events);
    const drafts = { draftedTokens: 4, acceptedDraftTokens: 2 };
    assert.deepStrictEqual(usage, { promptTokens: 5, cachedPromptTokens: 0, outputTokens: 3, ...drafts });
    assert.deepInclude(candidates[0]?.finished.usage, drafts);
    assert.notProperty(candidates[1]?.finished.usage, "draftedTokens");
    assert.notProperty(
      events.find(({ type }) => type === "chunk"),
      "drafts",
    );
  });

  it("echoes a prompt as text, whatever stands in it", () => {
    const echo = '<think>so</think><tool_call>{"name": "f"}</tool_call>';
    const { record, events } = create({ echo });
    for (const candidateIndex of [0, 1]) {
      record.onEngineEvent(candidateIndex, output({ text: "!", toolCalls: [call("a")] }), 1);
      record.onEngineEvent(candidateIndex, { ...end, warnings: [] }, 1);
    }
    for (const { text, reasoning, toolCalls, tokenIds } of collectResult(events).candidates) {
      assert.deepStrictEqual([text, reasoning, toolCalls.length, tokenIds.length], [`${echo}!`, "", 1, 1]);
    }
  });

  it("counts what is withheld as spent, drafts among it, and as the caller's once it comes", () => {
    const { record, events } = create();
    const withheld = { ...output({ tokenIds: [7, 8], reasoningTokens: 1 }), drafts: { drafted: 3, accepted: 1 } };
    if (withheld.type !== "output") return assert.fail();
    record.withhold(0, withheld);
    const usage = {
      promptTokens: 5,
      cachedPromptTokens: 0,
      outputTokens: 2,
      reasoningTokens: 1,
      draftedTokens: 3,
      acceptedDraftTokens: 1,
    };
    assert.deepEqual(record.usage, usage);
    assert.deepEqual(events, []);
    record.unhold(0, withheld);
    record.onEngineEvent(0, withheld, 1);
    assert.deepEqual(record.usage, usage);
    record.withhold(0, withheld);
    record.onEngineEvent(0, { ...end, warnings: [] }, 2);
    const last = events.at(-1);
    assert.deepInclude(last?.type === "finished" && last.usage, {
      outputTokens: 4,
      discardedTokens: 2,
      draftedTokens: 6,
    });
  });
});
