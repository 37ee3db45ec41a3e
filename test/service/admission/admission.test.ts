import { assert, describe, it } from "@effect/vitest";
import { Effect, Fiber, Layer } from "effect";
import { TestClock } from "effect/testing";

import { Admission } from "../../../src/service/admission/Admission.ts";
import { AdmissionConfig } from "../../../src/service/config/AdmissionConfig.ts";
import { Draining } from "../../../src/service/domain/errors.ts";
import { Stats } from "../../../src/service/telemetry/Stats.ts";

const layer = (maxRunning: number, maxQueued: number) =>
  Admission.layer.pipe(
    Layer.provideMerge(Stats.layer),
    Layer.provide(Layer.succeed(AdmissionConfig, { maxRunning, maxQueued })),
  );

const counts = Effect.gen(function* () {
  const stats = (yield* (yield* Stats).snapshot).get("m");
  return { running: stats?.running ?? 0, queued: stats?.queued ?? 0 };
});

/** Takes a place, notes when, and holds it for a while. */
const work = (log: string[], name: string, priority: number, holdMs = 100, fairnessId = "", candidates = 1) =>
  Effect.gen(function* () {
    yield* (yield* Admission).admit("m", { priority, fairnessId }, { candidates, promptTokens: 10 });
    log.push(name);
    yield* Effect.sleep(holdMs);
  }).pipe(Effect.scoped);

describe("Admission", () => {
  it.effect("serves the highest priority first and equals in order of arrival", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      const names = [
        ["a", 0],
        ["b", 0],
        ["c", 5],
        ["d", 0],
      ] as const;
      const fibers = yield* Effect.forEach(names, ([name, priority]) => Effect.forkChild(work(log, name, priority)));
      yield* TestClock.adjust("1 second");
      yield* Effect.forEach(fibers, Fiber.join);
      assert.deepStrictEqual(log, ["a", "c", "b", "d"]);
      assert.deepStrictEqual(yield* counts, { running: 0, queued: 0 });
    }).pipe(Effect.provide(layer(1, 10))),
  );

  it.effect("refuses those that wait when it is told to, and lets what runs end", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      const admission = yield* Admission;
      const running = yield* Effect.forkChild(work(log, "running", 0));
      const waiting = yield* Effect.forkChild(Effect.flip(work(log, "waiting", 0)));
      yield* TestClock.adjust("1 millis");
      assert.deepStrictEqual(yield* counts, { running: 1, queued: 1 });
      assert.deepStrictEqual(admission.load().get("m"), { taken: 1, waiting: 1, waitingPromptTokens: 10 });
      yield* admission.refuseWaiting(new Draining({ retryAfterMs: 5 }));
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Draining");
      assert.deepStrictEqual(yield* counts, { running: 1, queued: 0 });
      assert.strictEqual((yield* Effect.flip(work(log, "late", 0)))._tag, "Draining");
      yield* TestClock.adjust("1 second");
      yield* Fiber.join(running);
      // One that finds a place free is as good as running.
      const free = yield* Effect.forkChild(work(log, "free", 0));
      yield* TestClock.adjust("1 second");
      yield* Fiber.join(free);
      assert.deepStrictEqual(log, ["running", "free"]);
      assert.deepStrictEqual(yield* counts, { running: 0, queued: 0 });
    }).pipe(Effect.provide(layer(1, 10))),
  );

  it.effect("counts nobody twice who is refused and leaves in the same moment", () =>
    Effect.gen(function* () {
      const admission = yield* Admission;
      const running = yield* Effect.forkChild(work([], "running", 0));
      const waiting = yield* Effect.forkChild(work([], "waiting", 0));
      yield* TestClock.adjust("1 millis");
      yield* admission.refuseWaiting(new Draining({ retryAfterMs: 5 }));
      yield* Fiber.interrupt(waiting);
      assert.deepStrictEqual(yield* counts, { running: 1, queued: 0 });
      yield* Fiber.interrupt(running);
      assert.deepStrictEqual(yield* counts, { running: 0, queued: 0 });
    }).pipe(Effect.provide(layer(1, 10))),
  );

  it.effect("lets nobody starve: waiting raises the priority", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      yield* Effect.forkChild(work(log, "first", 0, 1_000));
      yield* TestClock.adjust("1 millis");
      yield* Effect.forkChild(work(log, "patient", 0, 1));
      for (let i = 0; i < 10; i++) {
        yield* Effect.forkChild(work(log, `urgent ${i}`, 3, 1_000));
        yield* TestClock.adjust("1 second");
      }
      yield* TestClock.adjust("20 seconds");
      assert.isAtMost(log.indexOf("patient"), 6);
      assert.isAtLeast(log.indexOf("patient"), 2);
    }).pipe(Effect.provide(layer(1, 20))),
  );

  it.effect("leaves turns to others when one caller has many", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      for (let i = 0; i < 4; i++) yield* Effect.forkChild(work(log, `many ${i}`, 0, 100, "many"));
      yield* Effect.forkChild(work(log, "few", 0, 100, "few"));
      yield* TestClock.adjust("1 second");
      assert.deepStrictEqual(log, ["many 0", "many 1", "few", "many 2", "many 3"]);
      assert.deepStrictEqual(yield* counts, { running: 0, queued: 0 });
    }).pipe(Effect.provide(layer(2, 10))),
  );

  it.effect("gives each candidate a place, and lets nobody pass one that waits for several", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      const many = (name: string, candidates: number, holdMs: number) =>
        Effect.forkChild(work(log, name, 0, holdMs, "", candidates));
      yield* many("one", 1, 100);
      yield* many("two", 2, 50);
      yield* TestClock.adjust("1 millis");
      yield* many("three", 3, 100);
      yield* many("last", 1, 100);
      yield* TestClock.adjust("60 millis");
      assert.deepStrictEqual(log, ["one", "two"], "two places are free and not enough");
      assert.deepStrictEqual(yield* counts, { running: 1, queued: 2 });
      yield* TestClock.adjust("40 millis");
      assert.deepStrictEqual(log, ["one", "two", "three"]);
      yield* TestClock.adjust("200 millis");
      assert.deepStrictEqual(log, ["one", "two", "three", "last"]);
      assert.deepStrictEqual(yield* counts, { running: 0, queued: 0 });
    }).pipe(Effect.provide(layer(3, 10))),
  );

  it.effect("lets a task with more candidates than places have them all", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      const fiber = yield* Effect.forkChild(work(log, "eight", 0, 100, "", 8));
      yield* TestClock.adjust("1 second");
      yield* Fiber.join(fiber);
      assert.deepStrictEqual(log, ["eight"]);
      assert.deepStrictEqual(yield* counts, { running: 0, queued: 0 });
    }).pipe(Effect.provide(layer(2, 10))),
  );

  it.effect("lets those behind go on when one that waited for several places leaves", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      yield* Effect.forkChild(work(log, "one", 0, 10_000));
      const wide = yield* Effect.forkChild(work(log, "wide", 0, 100, "", 2));
      yield* Effect.forkChild(work(log, "narrow", 0, 100));
      yield* TestClock.adjust("1 millis");
      assert.deepStrictEqual(log, ["one"]);
      yield* Fiber.interrupt(wide);
      yield* TestClock.adjust("1 millis");
      assert.deepStrictEqual(log, ["one", "narrow"]);
    }).pipe(Effect.provide(layer(2, 10))),
  );

  it.effect("refuses over the queue's bound with the bound and a delay", () =>
    Effect.gen(function* () {
      const log: string[] = [];
      yield* Effect.forkChild(work(log, "a", 0));
      yield* Effect.forkChild(work(log, "b", 0));
      yield* TestClock.adjust("1 millis");
      const error = yield* Effect.flip(work(log, "c", 0));
      assert.strictEqual(error._tag, "QueueFull");
      assert.match(error.message, /^1 generations already wait for model "m"; try again in 1000 ms$/);
    }).pipe(Effect.provide(layer(1, 1))),
  );

  it.effect("gives a place back whenever its owner leaves, waiting or running", () =>
    Effect.gen(function* () {
      const running = yield* Effect.forkChild(work([], "a", 0, 10_000));
      const waiting = yield* Effect.forkChild(work([], "b", 0, 10_000));
      yield* TestClock.adjust("1 millis");
      assert.deepStrictEqual(yield* counts, { running: 1, queued: 1 });
      yield* Fiber.interrupt(waiting);
      assert.deepStrictEqual(yield* counts, { running: 1, queued: 0 });
      yield* Fiber.interrupt(running);
      assert.deepStrictEqual(yield* counts, { running: 0, queued: 0 });
    }).pipe(Effect.provide(layer(1, 5))),
  );
});
