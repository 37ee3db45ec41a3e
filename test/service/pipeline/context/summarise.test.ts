import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import { ContextLengthExceeded, QueueFull, type ServiceError } from "../../../../src/service/domain/errors.ts";
import type { GenerationTask } from "../../../../src/service/domain/generation-task.ts";
import { noUsage, type Usage } from "../../../../src/service/domain/usage.ts";
import { summarise, withSummary } from "../../../../src/service/pipeline/context/summarise.ts";
import { chunk, finished, started } from "../../../support/scripted-generations.ts";
import { message, task } from "../../../support/tasks.ts";

const { contextPolicy: _policy, ...base } = task({ model: "demo" });

const textOf = ({ input }: GenerationTask): string => {
  const [part] = input.type === "chat" ? (input.messages[0]?.content ?? []) : [];
  return part?.type === "text" ? part.text : assert.fail();
};

const tooLong = new ContextLengthExceeded({ promptTokens: 9, maxOutputTokens: 1, contextLength: 8, estimated: false });

describe("a summary", () => {
  it.effect("is asked for in pieces that fit, each with the summary so far, and its cost is that of all", () =>
    Effect.gen(function* () {
      const asked: string[] = [];
      const { summary, summaryUsage = noUsage } =
        (yield* summarise({
          longestTokens: 64,
          task: base,
          onSpent: () => {},
          before: "",
          messages: [message("user", "a".repeat(1000)), message("assistant", "b".repeat(1000))],
          ask: Effect.fnUntraced(function* (own, emit): Effect.fn.Return<void, ServiceError> {
            const text = textOf(own);
            assert.strictEqual(own.stop.maxOutputTokens, 64);
            if (text.length > 1600) return yield* Effect.fail(tooLong);
            asked.push(text);
            emit(started, 1);
            emit(chunk(`summary ${asked.length}`, 1), 1);
            emit(finished(1), 1);
          }),
        })) ?? {};
      assert.lengthOf(asked, 2);
      assert.include(asked[0], "user: aaa");
      assert.include(asked[1], "Summary of what came before:\nsummary 1");
      assert.strictEqual(summary, "summary 2");
      assert.strictEqual(summaryUsage.outputTokens, 2);
    }),
  );

  it.effect("fails as its model does, and does not halve for ever", () =>
    Effect.gen(function* () {
      let count = 0;
      const failing = (error: ServiceError) =>
        Effect.flip(
          summarise({
            longestTokens: 64,
            task: base,
            onSpent: () => {},
            before: "",
            messages: [message("user", "a".repeat(1000))],
            ask: () => {
              count += 1;
              return Effect.fail(error);
            },
          }),
        );
      const full = new QueueFull({ model: "demo", limit: 1, retryAfterMs: 1 });
      assert.strictEqual(yield* failing(full), full);
      assert.strictEqual(count, 1);
      assert.strictEqual(yield* failing(tooLong), tooLong);
      assert.isBelow(count, 10);
    }),
  );

  it.effect("gets more room where all of it went into reasoning, once", () =>
    Effect.gen(function* () {
      const limits: (number | undefined)[] = [];
      const summarised = (enough: number) =>
        summarise({
          longestTokens: 64,
          task: base,
          onSpent: () => {},
          before: "",
          messages: [message("user", "a")],
          ask: (own, emit) =>
            Effect.sync(() => {
              limits.push(own.stop.maxOutputTokens);
              emit(started, 1);
              if ((own.stop.maxOutputTokens ?? 0) >= enough) emit(chunk("a", 1), 1);
              emit({ ...finished(1), finishReason: "max-output-tokens" }, 1);
            }),
        });
      assert.strictEqual((yield* summarised(256))?.summary, "a");
      assert.isUndefined(yield* summarised(1000));
      assert.deepStrictEqual(limits, [64, 256, 64, 256]);
    }),
  );

  it.effect("is none where it was broken off, and has its task's time", () =>
    Effect.gen(function* () {
      for (const finishReason of ["cancelled", "time-budget"] as const) {
        const none = yield* summarise({
          longestTokens: 64,
          task: { ...base, stop: { ...base.stop, timeBudgetMs: 500 } },
          onSpent: () => {},
          before: "",
          messages: [message("user", "a")],
          ask: (own, emit) =>
            Effect.sync(() => {
              assert.strictEqual(own.stop.timeBudgetMs, 500);
              emit(started, 1);
              emit(chunk("half a summ", 1), 1);
              emit({ ...finished(1), finishReason }, 1);
            }),
        });
        assert.isUndefined(none, finishReason);
      }
    }),
  );

  it.effect("is none where the model writes nothing", () =>
    Effect.gen(function* () {
      const spent: Usage[] = [];
      const none = yield* summarise({
        longestTokens: 64,
        task: base,
        onSpent: (usage) => void spent.push(usage),
        before: "of before",
        messages: [message("user", "a")],
        ask: (_task, emit) =>
          Effect.sync(() => {
            for (const event of [started, chunk("  ", 1), finished(1)]) emit(event, 1);
          }),
      });
      assert.isUndefined(none);
      assert.lengthOf(spent, 1);
    }),
  );

  it("is told at the beginning of what the user says first, and never among what the system says", () => {
    const texts = (messages: Parameters<typeof withSummary>[0]) =>
      withSummary(messages, "S").map(({ content }) =>
        content.map((part) => (part.type === "text" ? part.text : "")).join(""),
      );
    const told = "Summary of the conversation so far:\nS\n\n";
    assert.deepStrictEqual(texts([message("system", "a"), message("user", "b")]), ["a", `${told}b`]);
    assert.deepStrictEqual(texts([message("user", "b"), message("assistant", "c"), message("user", "d")]), [
      `${told}b`,
      "c",
      "d",
    ]);
  });
});
