import { assert, describe, it } from "@effect/vitest";
import { Effect, Exit, Fiber } from "effect";
import { TestClock } from "effect/testing";

import { HubError } from "../../../../src/service/models/download/hub-error.ts";
import { withRetries } from "../../../../src/service/models/download/retry.ts";

const options = { maxAttempts: 3, backoffMs: 1000 };
const unavailable = (retryAfterMs?: number) => new HubError("unavailable", { status: 503, retryAfterMs });

/** Fails with these errors, one after the other, and succeeds then. */
const failing = (...errors: readonly Error[]) => {
  let attempts = 0;
  const attempt = Effect.suspend(() => {
    const error = errors[attempts++];
    return error === undefined ? Effect.succeed("done") : Effect.fail(error);
  });
  return { attempt, attempts: () => attempts };
};

describe("a request to the hub", () => {
  it.effect("is tried again after pauses that double, a little longer by chance", () =>
    Effect.gen(function* () {
      const { attempt, attempts } = failing(unavailable(), unavailable());
      const fiber = yield* Effect.forkChild(withRetries(attempt, options));
      yield* TestClock.adjust("999 millis");
      assert.equal(attempts(), 1);
      yield* TestClock.adjust("201 millis");
      assert.equal(attempts(), 2);
      yield* TestClock.adjust("1799 millis");
      assert.equal(attempts(), 2);
      yield* TestClock.adjust("601 millis");
      assert.equal(yield* Fiber.join(fiber), "done");
    }),
  );

  it.effect("fails with the last error after its attempts", () =>
    Effect.gen(function* () {
      const last = unavailable();
      const { attempt, attempts } = failing(unavailable(), unavailable(), last);
      const fiber = yield* Effect.forkChild(Effect.flip(withRetries(attempt, options)));
      yield* TestClock.adjust("1 minute");
      assert.strictEqual(yield* Fiber.join(fiber), last);
      assert.equal(attempts(), 3);
    }),
  );

  it.effect("has all its attempts again once bytes have arrived", () =>
    Effect.gen(function* () {
      const { attempt, attempts } = failing(...Array.from({ length: 10 }, () => unavailable()));
      const fiber = yield* Effect.forkChild(withRetries(attempt, options, () => true));
      yield* TestClock.adjust("1 hour");
      assert.equal(yield* Fiber.join(fiber), "done");
      assert.equal(attempts(), 11);
    }),
  );

  it.effect("waits as long as the hub asks, but not for ever", () =>
    Effect.gen(function* () {
      const { attempt, attempts } = failing(unavailable(60_000), unavailable(300_001));
      const fiber = yield* Effect.forkChild(Effect.exit(withRetries(attempt, options)));
      yield* TestClock.adjust("59 seconds");
      assert.equal(attempts(), 1);
      yield* TestClock.adjust("13 seconds");
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)));
      assert.equal(attempts(), 2);
    }),
  );

  it.effect("is not tried again where that would not help", () =>
    Effect.gen(function* () {
      for (const error of [new HubError("gone", { status: 404 }), new Error("another")]) {
        const { attempt, attempts } = failing(error);
        assert.strictEqual(yield* Effect.flip(withRetries(attempt, options)), error);
        assert.equal(attempts(), 1);
      }
    }),
  );
});
