import { assert, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Fiber, Scope } from "effect";
import { TestClock } from "effect/testing";
import { describe } from "vitest";

import { JobStoreUnavailable, type StoreFailure } from "../../../src/service/domain/errors.ts";
import { makeReports } from "../../../src/service/jobs/Reports.ts";
import type { StoreAccess } from "../../../src/service/jobs/StoreAccess.ts";
import type { Report } from "../../../src/service/jobs/store/settle-items.ts";
import { fibersRan } from "../../support/fibers-ran.ts";

const unavailable = new JobStoreUnavailable({ cause: "its disk is full", retryAfterMs: 2_000 });

const report = (index: number): Report => ({
  type: "outcome",
  item: { jobId: "job", index, queue: "queue", attempt: 1 },
  events: [],
  outcome: { type: "defect", requestId: `job/${index}` },
  failure: undefined,
});

/** Reports to a store whose writes end, one after another, as a test says. */
const reporting = (writes: ReadonlyArray<Effect.Effect<ReadonlyArray<boolean>, StoreFailure>>) =>
  Effect.gen(function* () {
    const told: number[] = [];
    let made = 0;
    const use = (() => Effect.suspend(() => writes[made++] ?? Effect.succeed([true]))) as unknown;
    const store = { host: { id: "host", name: "host" }, use } as StoreAccess["Service"]; // no more of it is used
    const reports = yield* makeReports(store, ({ item }) => void told.push(item.index));
    return { reports, told, made: () => made };
  });

/** What has come by now is written, or begun to be. */
const gathered = Effect.andThen(fibersRan, TestClock.adjust("5 millis"));

describe("the reports of items", () => {
  it.effect("that come while another is written are written together, each with its own answer", () =>
    Effect.gen(function* () {
      const go = yield* Deferred.make<void>();
      const first = Effect.as(Deferred.await(go), [true]);
      const { reports, told, made } = yield* reporting([first, Effect.succeed([true, false, true])]);
      const submit = (index: number) => Effect.forkChild(reports.submit(report(index)));
      const answer = yield* submit(0);
      yield* gathered;
      const answers = [answer, ...(yield* Effect.forEach([1, 2, 3], submit))];
      yield* gathered;
      assert.deepEqual([told, made()], [[], 1]);
      yield* Deferred.succeed(go, undefined);
      yield* gathered;
      assert.deepEqual(yield* Effect.forEach(answers, Fiber.join), [true, true, false, true]);
      yield* fibersRan;
      assert.deepEqual([told, made()], [[0, 1, 2, 3], 2]);
    }),
  );

  it.effect("that come within a moment of each other are written together", () =>
    Effect.gen(function* () {
      const { reports, made } = yield* reporting([Effect.succeed([true, false])]);
      const first = yield* Effect.forkChild(reports.submit(report(0)));
      yield* fibersRan;
      yield* TestClock.adjust("4 millis");
      assert.strictEqual(made(), 0);
      const second = yield* Effect.forkChild(reports.submit(report(1)));
      yield* fibersRan;
      yield* TestClock.adjust("1 millis");
      assert.deepEqual([yield* Fiber.join(first), yield* Fiber.join(second), made()], [true, false, 1]);
    }),
  );

  it.effect("wait for a store that is unavailable, as long as it asks for", () =>
    Effect.gen(function* () {
      const { reports, made } = yield* reporting([Effect.fail(unavailable), Effect.fail(unavailable)]);
      const answer = yield* Effect.forkChild(reports.submit(report(0)));
      yield* gathered;
      assert.strictEqual(made(), 1);
      yield* TestClock.adjust("1999 millis");
      assert.strictEqual(made(), 1);
      yield* TestClock.adjust("1 millis");
      assert.strictEqual(made(), 2);
      yield* TestClock.adjust("2 seconds");
      assert.isTrue(yield* Fiber.join(answer));
    }),
  );

  it.effect("do not hinder each other where one of them cannot be written at all", () =>
    Effect.gen(function* () {
      const broken = Effect.die(new Error("a wrong statement"));
      const { reports } = yield* reporting([broken, broken, Effect.succeed([true]), Effect.succeed([true])]);
      const answers = yield* Effect.forkChild(
        Effect.all([reports.submit(report(0)), reports.submit(report(1))], { concurrency: "unbounded" }),
      );
      yield* gathered;
      assert.deepEqual(yield* Fiber.join(answers), [true, true]);
    }),
  );

  it.effect("end with the service, also where the store never answers", () =>
    Effect.gen(function* () {
      for (const write of [Effect.never, Effect.fail(unavailable)]) {
        const scope = yield* Scope.make();
        const began = yield* Deferred.make<void>();
        const { reports, made } = yield* reporting([Effect.andThen(Deferred.succeed(began, undefined), write)]).pipe(
          Scope.provide(scope),
        );
        yield* Effect.forkChild(reports.submit(report(0)));
        yield* gathered;
        yield* Deferred.await(began);
        yield* Scope.close(scope, Exit.void);
        yield* TestClock.adjust("1 hour");
        assert.strictEqual(made(), 1);
      }
    }),
  );
});
