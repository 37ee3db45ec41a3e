import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";

import type { GenerationEvent } from "../../../src/service/domain/generation-result.ts";
import type { ConversationEngine, ConversationRequest, EngineEvent } from "../../../src/service/engine/Engine.ts";
import { createJsonCheck } from "../../../src/service/output/json-answer.ts";
import { collectResult } from "../../../src/service/pipeline/collect-result.ts";
import { converseInJson } from "../../../src/service/pipeline/converse-in-json.ts";
import { GenerationRecord } from "../../../src/service/pipeline/GenerationRecord.ts";
import { makeScriptedConversations } from "../../support/scripted-conversations.ts";
import { chat, facts, message } from "../../support/tasks.ts";

type Finished = Extract<EngineEvent, { readonly type: "finished" }>;

interface Said {
  readonly text: string;
  readonly reason?: Finished["reason"];
  /** Until it is admitted, and from then to its end. */
  readonly waitsMs?: number;
  readonly takesMs?: number;
  /** Whether each piece has its logprob. */
  readonly hasLogprobs?: boolean;
}

const schema = '{"type":"object","required":["city"]}';
const parameters = { ...facts().defaults, seed: 1, maxOutputTokens: 9, minOutputTokens: 0, stopTokenIds: [] };

/** Runs a task that asks for JSON on an engine that says these answers, one after the other. */
const run = Effect.fnUntraced(function* (
  answers: ReadonlyArray<Said>,
  messages = [message("system", "Be brief."), message("user", "Where?")],
  timeBudgetMs?: number,
) {
  const requests: ConversationRequest[] = [];
  const engine: ConversationEngine = {
    ...makeScriptedConversations({ promptTokens: 1, pieces: [] }),
    converse: (request, onEvent) =>
      Effect.gen(function* () {
        const {
          text,
          reason,
          waitsMs = 0,
          takesMs = 0,
          hasLogprobs = false,
        } = answers[requests.length] ?? assert.fail("asked too often");
        requests.push(request);
        yield* Effect.sleep(waitsMs);
        onEvent({ type: "admitted", cachedPromptTokens: 0, promptTokens: 5, estimated: true });
        yield* Effect.sleep(takesMs);
        for (const piece of text.match(/[\s\S]{1,4}/g) ?? []) {
          const nothing = { toolCalls: [], tokenIds: [], reasoning: "", reasoningTokens: 0 };
          const logprob = { tokenId: 1, text: piece, raw: new Uint8Array(), logprob: -1, top: [] };
          onEvent({ ...nothing, type: "output", text: piece, tokens: 1, logprobs: hasLogprobs ? [logprob] : [] });
        }
        const usage = { promptTokens: 7, outputTokens: 20, reasoningTokens: 0, estimated: false };
        const finished = { matched: undefined, cachedPromptTokens: 0, usage, warnings: [] };
        onEvent({ ...finished, type: "finished", reason: reason ?? "end-of-sequence" });
      }),
  };
  const constraint = { type: "json-schema", schema } as const;
  const check = createJsonCheck(constraint);
  if (typeof check !== "function") return assert.fail(check.refused);
  const events: GenerationEvent[] = [];
  const record = new GenerationRecord({
    id: "gen_1",
    facts: facts(),
    parameters,
    promptTokens: undefined,
    promptLogprobs: false,
    echo: "",
    reasons: true,
    candidateCount: 1,
    receivedAt: 0,
    onBegun: () => {},
    emit: (event) => void events.push(event),
  });
  const input = chat(...messages);
  const request: ConversationRequest = {
    id: "gen_1/0",
    input: input.type === "chat" ? input : assert.fail(),
    parameters,
    reasoning: {},
    constraint,
    topLogprobs: undefined,
    asked: new Set(),
    promptCount: { tokens: 5, estimated: true },
    timeBudgetMs,
    scheduling: { turn: 0, fairnessId: "" },
  };
  const result = yield* Effect.result(
    converseInJson({ model: "demo", engine, request, index: 0, record }, { constraint, check }),
  );
  return { result, events, requests, record };
});

const textsOf = ({ input }: ConversationRequest) =>
  input.type === "chat"
    ? input.messages.map(({ role, content }) => [
        role,
        content.map((part) => (part.type === "text" ? part.text : "")).join(""),
      ])
    : assert.fail();

describe("JSON of a model that cannot be constrained", () => {
  it.effect("is sent in one piece, without what stands around it", () =>
    Effect.gen(function* () {
      const { events, requests } = yield* run([{ text: 'Here: ```{"city": "Rome"}```' }]);
      const { candidates, usage } = collectResult(events);
      assert.strictEqual(candidates[0]?.text, '{"city": "Rome"}');
      assert.lengthOf(
        events.filter(({ type }) => type === "chunk"),
        1,
      );
      assert.strictEqual(usage.outputTokens, 20);
      assert.lengthOf(requests, 1);
      const [[role, system] = [], user] = requests.map(textsOf)[0] ?? [];
      assert.strictEqual(role, "system");
      assert.match(system ?? "", /^Be brief\.\n\nAnswer with JSON of this JSON Schema/);
      assert.include(system, schema);
      assert.deepStrictEqual(user, ["user", "Where?"]);
    }),
  );

  it.effect("has the logprobs of the answer that is sent, in their order", () =>
    Effect.gen(function* () {
      const { events } = yield* run([
        { text: "no", hasLogprobs: true },
        { text: 'So: {"city": "Rome"}', hasLogprobs: true },
      ]);
      const [candidate] = collectResult(events).candidates;
      assert.strictEqual(candidate?.text, '{"city": "Rome"}');
      assert.strictEqual(candidate?.logprobs.map(({ text }) => text).join(""), 'So: {"city": "Rome"}');
    }),
  );

  it.effect("is asked for once more, with what was wrong", () =>
    Effect.gen(function* () {
      const { events, requests } = yield* run(
        [{ text: '{"town": 1}' }, { text: '{"city": "Rome"}' }],
        [message("user", "Where?")],
      );
      const { candidates, usage } = collectResult(events);
      assert.strictEqual(candidates[0]?.text, '{"city": "Rome"}');
      assert.deepStrictEqual(
        candidates[0]?.finished.warnings.map(({ kind }) => kind),
        ["regenerated"],
      );
      assert.deepInclude(usage, { outputTokens: 40, discardedTokens: 20, promptTokens: 7 });
      const asked = requests.map(textsOf)[1] ?? [];
      assert.deepStrictEqual(
        asked.map(([role]) => role),
        ["system", "user", "assistant", "user"],
      );
      assert.match(String(asked[3]?.[1]), /city.*Answer again, with the JSON alone/s);
    }),
  );

  it.effect("fails with what it cost where it is wrong twice, and nothing of it is sent", () =>
    Effect.gen(function* () {
      const { result, events, record } = yield* run([{ text: "Rome" }, { text: "I said: Rome" }]);
      assert.deepInclude(result._tag === "Failure" ? result.failure : {}, { _tag: "OutputInvalid", model: "demo" });
      assert.deepStrictEqual(
        events.map(({ type }) => type),
        ["started"],
      );
      assert.isAbove(record.usage.outputTokens, 20);
      assert.isFalse(record.hasEmitted);
    }),
  );

  it.effect("is not asked for again where the answer was cut", () =>
    Effect.gen(function* () {
      const { result, requests } = yield* run([{ text: '{"city": "Ro', reason: "max-output-tokens" }]);
      assert.lengthOf(requests, 1);
      assert.match(result._tag === "Failure" ? result.failure.message : "", /it ended with max-output-tokens/);
    }),
  );

  it.effect("of a caller that cancels is whole or not there", () =>
    Effect.gen(function* () {
      const cut = yield* run([{ text: '{"city": "Ro', reason: "cancelled" }]);
      assert.deepInclude(collectResult(cut.events).candidates[0], { text: "" });
      const whole = yield* run([{ text: '{"city": "Rome"}', reason: "time-budget" }]);
      assert.deepInclude(collectResult(whole.events).candidates[0], { text: '{"city": "Rome"}' });
    }),
  );

  it.effect("leaves a second answer the time that the first one has left, which is counted from its admission", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(
        run([{ text: "Rome", waitsMs: 5_000, takesMs: 700 }, { text: '{"city": "Rome"}' }], undefined, 1_000),
      );
      yield* TestClock.adjust(10_000);
      const { result, requests } = yield* Fiber.join(running);
      assert.strictEqual(result._tag, "Success");
      assert.deepStrictEqual(
        requests.map(({ timeBudgetMs }) => timeBudgetMs),
        [1_000, 300],
      );
      const late = yield* Effect.forkChild(run([{ text: "Rome", takesMs: 1_000 }], undefined, 1_000));
      yield* TestClock.adjust(1_000);
      assert.strictEqual((yield* Fiber.join(late)).result._tag, "Failure");
    }),
  );
});
