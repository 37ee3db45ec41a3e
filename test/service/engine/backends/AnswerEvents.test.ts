import { assert, describe, it } from "vitest";

import { AnswerEvents } from "../../../../src/service/engine/backends/AnswerEvents.ts";
import type { EngineEvent } from "../../../../src/service/engine/Engine.ts";

const create = () => {
  const told: EngineEvent[] = [];
  const tools = [{ name: "add", description: "", parameters: undefined }];
  const events = new AnswerEvents({
    tools,
    topLogprobs: undefined,
    estimatedPromptTokens: 5,
    onEvent: (event) => void told.push(event),
  });
  return { events, told };
};

describe("the events of an answer", () => {
  it("end once, with estimates where no counts are told", () => {
    const { events, told } = create();
    events.tell("a", "");
    events.tell("", "hm");
    assert.isTrue(events.hasOutput);
    events.end({ reason: "end-of-sequence" });
    events.end({ reason: "cancelled" });
    events.finish({ reason: "cancelled" });
    assert.lengthOf(told, 3);
    assert.deepInclude(told[2], {
      reason: "end-of-sequence",
      usage: { promptTokens: 5, outputTokens: 2, reasoningTokens: 1, estimated: true },
    });
  });

  it("have no output where nothing was said, and half a character at the end as the sign for it", () => {
    const { events, told } = create();
    events.tell("", "");
    assert.isFalse(events.hasOutput);
    events.tell("a\ud83d", "");
    events.end({ reason: "end-of-sequence" });
    assert.deepStrictEqual(
      told.map((event) => (event.type === "output" ? event.text : event.type)),
      ["a", "\ufffd", "finished"],
    );
  });

  it("have the logprobs of pieces without text with the next text, once and in their order", () => {
    const { events, told } = create();
    const logprob = (tokenId: number) => ({ tokenId, text: "", raw: new Uint8Array(), logprob: -1, top: [] });
    events.tell("", "", { logprobs: [logprob(1)] });
    events.tell("", "", { logprobs: [logprob(2)] });
    events.tell("a", "", { logprobs: [logprob(3)] });
    events.tell("b", "", { logprobs: [logprob(4)] });
    assert.deepStrictEqual(
      told.map((event) => (event.type === "output" ? event.logprobs.map(({ tokenId }) => tokenId) : [])),
      [[1, 2, 3], [4]],
    );
  });

  it("have calls that can be made, and others as text", () => {
    const { events, told } = create();
    const calls = [
      { id: "", name: "add", arguments: "" },
      { id: "y", name: "sub", arguments: "{}" },
    ];
    events.end({ reason: "end-of-sequence", calls });
    const [output, finished] = told;
    assert.deepInclude(output, {
      text: '{"name": "sub", "arguments": {}}',
      toolCalls: [{ index: 0, id: "call_0", name: "add", arguments: "{}" }],
    });
    assert.deepInclude(finished, { reason: "tool-calls" });
    assert.strictEqual(finished?.type === "finished" ? finished.warnings[0]?.kind : "", "unknown-tool");
  });
});
