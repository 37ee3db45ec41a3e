import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Queue, Schema, Stream } from "effect";
import { TestClock } from "effect/testing";

import type { GenerationEvent } from "../../../src/service/domain/generation-result.ts";
import { coalesce, type FlushOptions } from "../../../src/service/rpc/coalesce.ts";
import { fibersRan } from "../../support/fibers-ran.ts";
import { chunk, eventsOf, finished, started } from "../../support/scripted-generations.ts";

const texts = Array.from("abcdefgh");

/** What of an event the tests look at. */
const summary = (event: GenerationEvent): string => {
  if (event.type === "chunk") return `${event.text}:${event.tokenIds.length}:${event.outputTokens}`;
  return event.type;
};

const run = <E>(events: Stream.Stream<GenerationEvent, E>, options: FlushOptions) =>
  Stream.runCollect(coalesce(options)(events)).pipe(Effect.map((all) => all.map(summary)));

describe("coalesce", () => {
  it.effect("passes everything on as it comes without options", () =>
    Effect.gen(function* () {
      const all = yield* run(Stream.fromIterable(eventsOf(["a", "b"])), {});
      assert.deepStrictEqual(all, ["started", "a:1:1", "b:1:2", "finished"]);
    }),
  );

  it.effect("sends a chunk once it holds the tokens asked for, and the rest before the end", () =>
    Effect.gen(function* () {
      const all = yield* run(Stream.fromIterable(eventsOf(texts)), { flushTokens: 3 });
      assert.deepStrictEqual(all, ["started", "abc:3:3", "def:3:6", "gh:2:8", "finished"]);
    }),
  );

  it.effect("keeps reasoning and tool calls", () =>
    Effect.gen(function* () {
      const call = (index: number) => ({ index, id: `c${index}`, name: "f", arguments: "{}" });
      const chunks = [
        { ...chunk("", 1), reasoning: "hm" },
        { ...chunk("", 2), reasoning: "!" },
        { ...chunk("a", 3), toolCalls: [call(0)] },
        { ...chunk("", 4), toolCalls: [call(1)] },
      ];
      const events = Stream.fromIterable([started, ...chunks, finished(4)]);
      const [, first, second] = yield* Stream.runCollect(coalesce({ flushTokens: 3 })(events));
      assert.deepInclude(first, { text: "a", reasoning: "hm!", toolCalls: [call(0)] });
      assert.deepInclude(second, { text: "", reasoning: "", toolCalls: [call(1)] });
    }),
  );

  it.effect("counts tokens, not chunks", () =>
    Effect.gen(function* () {
      const events = [started, chunk("ab", 2), chunk("cde", 5), chunk("f", 6), finished(6)];
      const all = yield* run(Stream.fromIterable(events), { flushTokens: 4 });
      assert.deepStrictEqual(all, ["started", "abcde:2:5", "f:1:6", "finished"]);
    }),
  );

  it.effect("holds the chunks of each candidate apart, with their logprobs", () =>
    Effect.gen(function* () {
      const of = (candidateIndex: number, text: string, outputTokens: number) => ({
        ...chunk(text, outputTokens),
        candidateIndex,
        logprobs: [{ tokenId: 100 + outputTokens, text, raw: new Uint8Array(), logprob: -1, top: [] }],
      });
      const events = [
        started,
        of(0, "a", 1),
        of(1, "A", 1),
        of(0, "b", 2),
        of(0, "c", 3),
        of(1, "B", 2),
        finished(3),
        of(1, "C", 3),
        { ...finished(3), candidateIndex: 1 },
      ];
      const all = yield* Stream.runCollect(coalesce({ flushTokens: 2 })(Stream.fromIterable(events)));
      assert.deepStrictEqual(
        all.map((event) =>
          event.type === "chunk"
            ? `${event.candidateIndex}${event.text}:${event.logprobs.map(({ text }) => text).join("")}`
            : event.type,
        ),
        ["started", "0ab:ab", "1AB:AB", "0c:c", "finished", "1C:C", "finished"],
      );
    }),
  );

  it.effect("sends what it holds before a failure", () =>
    Effect.gen(function* () {
      const seen: string[] = [];
      const events = Stream.concat(Stream.fromIterable(eventsOf(texts).slice(0, 5)), Stream.fail("lost"));
      const failure = yield* coalesce({ flushTokens: 3 })(events).pipe(
        Stream.runForEach((event) => Effect.sync(() => seen.push(summary(event)))),
        Effect.flip,
      );
      assert.deepStrictEqual(seen, ["started", "abc:3:3", "d:1:4"]);
      assert.strictEqual(failure, "lost");
    }),
  );

  it.effect("sends what there is when the interval is over, counted from the first chunk held", () =>
    Effect.gen(function* () {
      const source = yield* Queue.unbounded<GenerationEvent>();
      const seen: string[] = [];
      const fiber = yield* coalesce({ flushTokens: 100, flushIntervalMs: 50 })(Stream.fromQueue(source)).pipe(
        Stream.runForEach((event) => Effect.sync(() => seen.push(summary(event)))),
        Effect.forkChild,
      );
      yield* Queue.offerAll(source, [started, chunk("a", 1)]);
      yield* fibersRan;
      yield* TestClock.adjust(30);
      yield* Queue.offer(source, chunk("b", 2));
      yield* fibersRan;
      yield* TestClock.adjust(19);
      yield* fibersRan;
      assert.deepStrictEqual(seen, ["started"]);
      yield* TestClock.adjust(1);
      yield* fibersRan;
      assert.deepStrictEqual(seen, ["started", "ab:2:2"]);
      // The next interval begins with the next chunk.
      yield* TestClock.adjust(500);
      yield* Queue.offer(source, chunk("c", 3));
      yield* fibersRan;
      yield* TestClock.adjust(49);
      yield* fibersRan;
      assert.strictEqual(seen.length, 2);
      yield* TestClock.adjust(1);
      yield* fibersRan;
      assert.deepStrictEqual(seen, ["started", "ab:2:2", "c:1:3"]);
      yield* Fiber.interrupt(fiber);
    }),
  );

  it.effect("a chunk that was sent for its tokens does not leave its timer to the next", () =>
    Effect.gen(function* () {
      const source = yield* Queue.unbounded<GenerationEvent>();
      const seen: string[] = [];
      const fiber = yield* coalesce({ flushTokens: 2, flushIntervalMs: 50 })(Stream.fromQueue(source)).pipe(
        Stream.runForEach((event) => Effect.sync(() => seen.push(summary(event)))),
        Effect.forkChild,
      );
      yield* Queue.offer(source, chunk("a", 1));
      yield* fibersRan;
      yield* TestClock.adjust(40);
      yield* Queue.offerAll(source, [chunk("b", 2), chunk("c", 3)]);
      yield* fibersRan;
      yield* TestClock.adjust(49);
      yield* fibersRan;
      assert.deepStrictEqual(seen, ["ab:2:2"]);
      yield* TestClock.adjust(1);
      yield* fibersRan;
      assert.deepStrictEqual(seen, ["ab:2:2", "c:1:3"]);
      yield* Fiber.interrupt(fiber);
    }),
  );

  it.effect.prop(
    "joins to the same text and tokens whatever the number",
    [Schema.Array(Schema.String), Schema.Literals([1, 2, 3, 7, 1024])],
    ([pieces, flushTokens]) =>
      Effect.gen(function* () {
        const all = yield* Stream.runCollect(coalesce({ flushTokens })(Stream.fromIterable(eventsOf(pieces))));
        const chunks = all.filter((event) => event.type === "chunk");
        assert.strictEqual(chunks.map(({ text }) => text).join(""), pieces.join(""));
        assert.deepStrictEqual(
          chunks.flatMap(({ tokenIds }) => tokenIds),
          pieces.map((_, index) => 101 + index),
        );
        for (const one of chunks.slice(0, -1)) assert.isAtLeast(one.tokenIds.length, flushTokens);
      }),
  );
});
