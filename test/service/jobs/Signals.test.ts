import { assert, it } from "@effect/vitest";
import { Effect, Fiber } from "effect";
import { TestClock } from "effect/testing";
import { describe } from "vitest";

import { Signals } from "../../../src/service/jobs/Signals.ts";
import { fibersRan } from "../../support/fibers-ran.ts";

describe("the signals of jobs", () => {
  const heard = (change: Effect.Effect<void>) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(change);
      yield* fibersRan;
      return { isHeard: () => fiber.pollUnsafe() !== undefined, end: Fiber.interrupt(fiber) };
    });

  it.effect("reach everybody who listens to this job, also where it changed before they waited", () =>
    Effect.gen(function* () {
      const signals = new Signals(true);
      const [first, second, other] = [signals.listen("a"), signals.listen("a"), signals.listen("b")];
      signals.changed("a");
      const listeners = yield* Effect.forEach([first, second, other], ({ change }) => heard(change));
      assert.deepEqual(
        listeners.map(({ isHeard }) => isHeard()),
        [true, true, false],
      );
      yield* TestClock.adjust("1 second");
      assert.isTrue(listeners[2]?.isHeard(), "another host may have changed it");
    }),
  );

  it.effect("are kept for nobody who has left", () =>
    Effect.gen(function* () {
      const signals = new Signals(false);
      const [first, second] = [signals.listen("a"), signals.listen("a")];
      first.end();
      signals.changed("a");
      second.end();
      const [left, stayed] = yield* Effect.forEach([first, second], ({ change }) => heard(change));
      assert.deepEqual([left?.isHeard(), stayed?.isHeard()], [false, true]);
      yield* left?.end ?? Effect.void;
    }),
  );
});
