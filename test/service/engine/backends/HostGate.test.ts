import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Fiber } from "effect";

import { HostGate } from "../../../../src/service/engine/backends/HostGate.ts";
import { fibersRan } from "../../../support/fibers-ran.ts";
import { stepByStep } from "../../../support/step-by-step.ts";

/** Runs holders of a permit until each is let go, and logs who has one. */
const holders = (gate: HostGate) => {
  const log: string[] = [];
  const hold = (name: string, turn = 0, fairnessId = name) => {
    const done = Deferred.makeUnsafe<void>();
    const run = Effect.scoped(
      Effect.gen(function* () {
        yield* gate.permit({ turn, fairnessId });
        log.push(name);
        yield* Deferred.await(done);
      }),
    );
    return Effect.map(Effect.forkChild(run, { startImmediately: true }), (fiber) => ({
      fiber,
      end: Effect.andThen(Deferred.succeed(done, undefined), Effect.andThen(Fiber.join(fiber), fibersRan)),
    }));
  };
  return { log, hold };
};

describe("the gate of a host", () => {
  it.effect("lets in as many as the least of its backends permits, by their turns", () =>
    Effect.gen(function* () {
      const gate = new HostGate(2);
      gate.limit(1);
      const { log, hold } = holders(gate);
      const first = yield* hold("first");
      yield* hold("late", 5);
      yield* hold("early", 3);
      yield* fibersRan;
      assert.deepStrictEqual(log, ["first"]);
      yield* first.end;
      assert.deepStrictEqual(log, ["first", "early"]);
    }),
  );

  it.effect("lets in those that wait when its limit is raised", () =>
    Effect.gen(function* () {
      const gate = new HostGate(1);
      const { log, hold } = holders(gate);
      yield* hold("first");
      yield* hold("second");
      yield* fibersRan;
      assert.deepStrictEqual(log, ["first"]);
      gate.limit(2);
      yield* fibersRan;
      assert.deepStrictEqual(log, ["first", "second"]);
    }),
  );

  it.effect("passes on the permit of who leaves, and forgets who leaves while it waits", () =>
    Effect.gen(function* () {
      const { log, hold } = holders(new HostGate(1));
      const first = yield* hold("first");
      const leaver = yield* hold("leaver");
      yield* hold("last");
      yield* Fiber.interrupt(leaver.fiber);
      yield* Fiber.interrupt(first.fiber);
      yield* fibersRan;
      assert.deepStrictEqual(log, ["first", "last"]);
    }),
  );

  it.effect("has its permit back wherever the one who had it is interrupted", () =>
    Effect.gen(function* () {
      const gate = new HostGate(1);
      const permit = Effect.scoped(Effect.andThen(gate.permit({ turn: 0, fairnessId: "" }), Effect.never));
      for (let operations = 0; operations < 40; operations++) {
        const fiber = yield* Effect.forkChild(stepByStep(permit), { startImmediately: true });
        for (let count = 0; count < operations; count++) yield* Effect.yieldNow;
        yield* Fiber.interrupt(fiber);
        const { log, hold } = holders(gate);
        const next = yield* hold("next");
        yield* fibersRan;
        assert.deepStrictEqual(log, ["next"], `after ${operations} operations`);
        yield* next.end;
      }
    }),
  );

  it.effect("leaves turns to others than those who have one", () =>
    Effect.gen(function* () {
      const { log, hold } = holders(new HostGate(2));
      const other = yield* hold("x", 0, "x");
      yield* hold("a", 0, "a");
      yield* hold("a again", 1, "a");
      yield* hold("b", 1.5, "b");
      yield* other.end;
      assert.deepStrictEqual(log, ["x", "a", "b"]);
    }),
  );
});
