import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";
import { TestClock } from "effect/testing";

import { elapsedMs } from "../../../src/service/domain/elapsed.ts";

describe("elapsedMs", () => {
  it.effect("goes on with the clock of the test", () =>
    Effect.gen(function* () {
      const before = yield* elapsedMs;
      yield* TestClock.adjust("1500 millis");
      assert.strictEqual((yield* elapsedMs) - before, 1500);
    }),
  );

  it.live("does not follow the date", () =>
    Effect.gen(function* () {
      const date = Date.now;
      const before = yield* elapsedMs;
      Date.now = () => 0;
      const after = yield* elapsedMs;
      Date.now = date;
      assert.isAtLeast(after, before);
    }),
  );
});
