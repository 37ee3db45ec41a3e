/** The client holds a stream to what the API promises, so that no broken or merged stream passes for an answer. */
import { assert, describe, it } from "vitest";
import { isMlxdError } from "../../src/client/index.ts";
import { OutputWarning_Kind } from "../../src/client/gen/mlxd/v1/types_pb.ts";
import { collect } from "../support/collect.ts";
import { createInMemoryClient } from "../support/in-memory-client.ts";
import { chunkEvent, finishedEvent, numbered, saying, startedEvent } from "../support/scripted-events.ts";
import type { WireEvent } from "../support/scripted-server.ts";

const generate = (events: readonly WireEvent[], options = {}) =>
  createInMemoryClient({ stream: () => events })
    .stream("hi", options)
    .collect();

const assertRefused = async (events: readonly WireEvent[], message: RegExp, options = {}): Promise<void> => {
  const error = await generate(events, options).catch((reason: unknown) => reason);
  assert(isMlxdError(error, "PROTOCOL"), String(error));
  assert.equal(error.code, "INTERNAL");
  assert.match(error.message, message);
};

const [started, chunk, finished] = [startedEvent(), chunkEvent("a", 1), finishedEvent(1)];

describe("a stream", () => {
  it.each<[string, WireEvent[], RegExp]>([
    ["is empty", [], /before answer 0 had finished/],
    ["ends OK without Finished", numbered([started, chunk]), /before answer 0 had finished/],
    ["does not begin with Started", numbered([chunk, finished]), /a chunk event came before the generation started/],
    ["has Started twice", numbered([started, started]), /started twice/],
    ["has Finished twice", numbered([started, finished, finished]), /after answer 0 had finished/],
    ["goes on after Finished", numbered([started, finished, chunk]), /a chunk event came after answer 0 had finished/],
    ["does not begin at 0", [{ ...started, sequence: 1 }], /event 1 came where 0 was due/],
    [
      "has a gap",
      [
        { ...started, sequence: 0 },
        { ...chunk, sequence: 2 },
      ],
      /event 2 came where 1 was due/,
    ],
    [
      "has a duplicate",
      [
        { ...started, sequence: 0 },
        { ...chunk, sequence: 0 },
      ],
      /event 0 came where 1 was due/,
    ],
    [
      "answers what was not asked",
      numbered([started, chunkEvent("a", 1, { candidateIndex: 1 })]),
      /for answer 1, which was not asked for/,
    ],
    [
      "begins with a later tool call",
      numbered([started, chunkEvent("", 1, { toolCalls: [{ index: 1, id: "b", name: "f", arguments: "" }] })]),
      /tool call 1 came too early/,
    ],
  ])("that %s is a PROTOCOL error", async (_, events, message) => assertRefused(events, message));

  it("that finishes only one of two answers is a PROTOCOL error", async () => {
    await assertRefused(numbered([started, finished]), /before answer 1 had finished/, { candidateCount: 2 });
  });

  it("that is broken is ended, and tells how far it had come", async () => {
    const events = [...numbered([started, chunk]), { ...chunk, sequence: 5 }, { ...finished, sequence: 6 }];
    const error = await generate(events).catch((reason: unknown) => reason);
    assert(isMlxdError(error, "PROTOCOL"));
    assert.equal(error.progress?.generationId, "generation-1");
    assert.equal(error.progress?.lastSequence, 1);
    assert.equal(error.progress?.usage.outputTokens, 1);
  });

  it("may hold events that are newer than this client", async () => {
    const events = numbered([started, {}, chunk, finished]);
    assert.equal((await generate(events)).text, "a");
    const seen = await collect(createInMemoryClient({ stream: () => events }).stream("hi"));
    assert.deepEqual(
      seen.map(({ type }) => type),
      ["started", "chunk", "finished"],
    );
  });

  it("may end for a reason that is newer than this client", async () => {
    assert.equal(
      (await generate(numbered([started, finishedEvent(1, { finishReason: 99 as never })]))).finishReason,
      "unknown",
    );
  });
});

describe("a unary answer", () => {
  it("without a result is a PROTOCOL error", async () => {
    const error = await createInMemoryClient({ generate: () => ({}) })
      .generate("hi")
      .catch((reason: unknown) => reason);
    assert(isMlxdError(error, "PROTOCOL"));
  });

  it("without a candidate is a PROTOCOL error", async () => {
    const error = await createInMemoryClient({ generate: () => ({ result: {} }) })
      .generate("hi")
      .catch((reason: unknown) => reason);
    assert(isMlxdError(error, "PROTOCOL"));
  });
});

describe("several answers", () => {
  const events = numbered([
    started,
    chunkEvent("x", 1, { candidateIndex: 1 }),
    chunkEvent("a", 1),
    chunkEvent("b", 2),
    finishedEvent(2, { candidateIndex: 1, usage: { promptTokens: 7, outputTokens: 2, reasoningTokens: 1 } }),
    finishedEvent(3, { usage: { promptTokens: 7, outputTokens: 3, reasoningTokens: 2 } }),
  ]);

  it("are put together each by itself, and the prompt is counted once", async () => {
    const result = await generate(events, { candidateCount: 2 });
    assert.equal(result.text, "ab");
    assert.deepEqual(
      result.candidates.map(({ index, text }) => [index, text]),
      [
        [0, "ab"],
        [1, "x"],
      ],
    );
    assert.deepEqual(result.usage, { promptTokens: 7, cachedPromptTokens: 0, outputTokens: 5, reasoningTokens: 3 });
  });

  it("are not mixed by textDeltas, which gives the first one", async () => {
    const stream = createInMemoryClient({ stream: () => events }).stream("hi", { candidateCount: 2 });
    assert.deepEqual(await collect(stream.textDeltas()), ["a", "b"]);
  });
});

describe("a whole stream", () => {
  it("comes to the same result as the unary answer", async () => {
    const toolCalls = [
      { id: "c1", name: "add", arguments: '{"a":1,"b":2}' },
      { id: "c2", name: "now", arguments: "{}" },
    ];
    const parameters = { temperature: 0, topP: 1, topK: 3, seed: 9, maxOutputTokens: 12, stopSequences: ["\n"] };
    const logprob = (tokenId: number) => ({ tokenId, text: "x", raw: new Uint8Array([120]), logprob: -0.5, top: [] });
    const usage = { promptTokens: 7, cachedPromptTokens: 3, outputTokens: 4 };
    const timings = { queue: { nanos: 1_000_000 }, timeToFirstToken: { nanos: 2_000_000 }, total: { seconds: 1n } };
    const matched = { match: { case: "stopSequence" as const, value: "\n" } };
    const unary = createInMemoryClient({
      generate: () => ({
        result: {
          generationId: "generation-1",
          model: "demo",
          modelRevision: "r1",
          candidates: [
            {
              text: "ab",
              reasoning: "hm",
              toolCalls,
              tokenIds: [1, 2],
              logprobs: [logprob(1), logprob(2)],
              finishReason: 2,
              matched,
              warnings: [{ kind: OutputWarning_Kind.UNKNOWN_TOOL, message: "no such tool" }],
            },
          ],
          usage,
          timings,
          parameters,
          prompt: [logprob(5)],
        },
      }),
    });
    const events = numbered([
      startedEvent({ cachedPromptTokens: 3, parameters, prompt: [logprob(5)] }),
      chunkEvent("a", 1, { reasoning: "h", tokenIds: [1], logprobs: [logprob(1)] }),
      chunkEvent("", 1, { reasoning: "m", toolCalls: [{ index: 0, id: "c1", name: "add", arguments: '{"a"' }] }),
      chunkEvent("b", 2, { tokenIds: [2], logprobs: [logprob(2)] }),
      chunkEvent("", 3, {
        toolCalls: [
          { index: 0, arguments: ':1,"b":2}' },
          { index: 1, id: "c2", name: "now" },
        ],
      }),
      chunkEvent("", 4, { toolCalls: [{ index: 1, arguments: "{}" }] }),
      finishedEvent(4, { finishReason: 2, matched, usage, timings, warnings: [{ kind: 2, message: "no such tool" }] }),
    ]);
    assert.deepEqual(await generate(events), await unary.generate("hi"));
    const { timings: measured } = await generate(events);
    assert.deepEqual(measured, { queueMs: 1, timeToFirstTokenMs: 2, totalMs: 1_000 });
  });

  it("can be printed as JSON", async () => {
    assert.include(JSON.stringify(await generate(saying("a"))), '"text":"a"');
  });
});
