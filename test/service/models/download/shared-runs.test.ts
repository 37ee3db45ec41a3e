import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Fiber } from "effect";

import { fibersRan } from "../../../support/fibers-ran.ts";
import { makeSharedRuns } from "../../../../src/service/models/download/shared-runs.ts";

/** Runs that log how they begin and end, and end with what their gate is given. */
const scripted = Effect.gen(function* () {
  const log: string[] = [];
  const gate = yield* Deferred.make<number, string>();
  const runs = yield* makeSharedRuns<string, number, string>((last, next) => last[0] === next[0]);
  const start = (emit: (event: string) => void) =>
    Effect.sync(() => {
      log.push("start");
      for (const event of ["a1", "a2", "b1"]) emit(event);
    }).pipe(
      Effect.andThen(Deferred.await(gate)),
      Effect.tap(() => Effect.sync(() => emit("c1"))),
      Effect.onInterrupt(() =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => log.push("interrupted")),
        ),
      ),
    );
  const join = (events: string[] = []) => runs.join("key", start, (event) => events.push(event));
  return { log, gate, join, runs, start };
});

describe("a shared run", () => {
  it.effect("is started once and gives all its callers the same result, and later ones what went before", () =>
    Effect.gen(function* () {
      const { log, gate, join } = yield* scripted;
      const [first, second]: [string[], string[]] = [[], []];
      const one = yield* Effect.forkChild(join(first));
      yield* fibersRan;
      const two = yield* Effect.forkChild(join(second));
      yield* fibersRan;
      assert.deepEqual(
        [first, second],
        [
          ["a1", "a2", "b1"],
          ["a2", "b1"],
        ],
      );
      yield* Deferred.succeed(gate, 7);
      assert.deepEqual([yield* Fiber.join(one), yield* Fiber.join(two)], [7, 7]);
      assert.deepEqual([first.at(-1), second.at(-1), log], ["c1", "c1", ["start"]]);
    }),
  );

  it.effect("fails for all, and is started anew by the next", () =>
    Effect.gen(function* () {
      const { log, gate, join } = yield* scripted;
      const one = yield* Effect.forkChild(join());
      yield* fibersRan;
      yield* Deferred.fail(gate, "broken");
      assert.deepEqual(yield* Effect.exit(Fiber.join(one)), Exit.fail("broken"));
      yield* Effect.exit(join());
      assert.deepEqual(log, ["start", "start"]);
    }),
  );

  it.effect("outlives callers who leave, but not the last one; the next waits for its end", () =>
    Effect.gen(function* () {
      const { log, join } = yield* scripted;
      const events: string[] = [];
      const one = yield* Effect.forkChild(join(events));
      const two = yield* Effect.forkChild(join());
      yield* fibersRan;
      yield* Fiber.interrupt(one);
      assert.deepEqual(log, ["start"]);
      const leaving = yield* Effect.forkChild(Fiber.interrupt(two));
      const three = yield* Effect.forkChild(join());
      yield* fibersRan;
      assert.deepEqual(log, ["start", "interrupted", "start"]);
      yield* Fiber.join(leaving);
      yield* Fiber.interrupt(three);
      assert.deepEqual(events, ["a1", "a2", "b1"]);
    }),
  );

  it.effect("of one key knows nothing of another's", () =>
    Effect.gen(function* () {
      const { log, join, runs, start } = yield* scripted;
      const one = yield* Effect.forkChild(join());
      const other = yield* Effect.forkChild(runs.join("other", start, () => {}));
      yield* fibersRan;
      yield* Fiber.interrupt(one);
      assert.deepEqual(log, ["start", "start", "interrupted"]);
      yield* Fiber.interrupt(other);
    }),
  );
});
