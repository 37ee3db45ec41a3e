import { assert, describe, it } from "@effect/vitest";
import { Effect } from "effect";

import { emptyStats, Stats } from "../../../src/service/telemetry/Stats.ts";

const usage = { promptTokens: 5, cachedPromptTokens: 2, outputTokens: 3 };

describe("the counters", () => {
  it.effect("follow generations from the queue to their ends, model by model", () =>
    Effect.gen(function* () {
      const stats = yield* Stats;
      stats.move("a", "queued", 1);
      stats.move("a", "queued", 1);
      stats.move("a", "queued", -1);
      stats.move("a", "running", 1);
      stats.ended("b", "refused", undefined);
      stats.ended("", "refused", undefined);
      const now = yield* stats.snapshot;
      assert.deepEqual([...now.keys()], ["a", "b", ""]);
      assert.deepEqual(now.get("a"), { ...emptyStats(), queued: 1, running: 1 });
      assert.deepEqual(now.get("b"), { ...emptyStats(), refused: 1 });
    }).pipe(Effect.provide(Stats.layer)),
  );

  it.effect("add up the tokens of those that had any, however they ended", () =>
    Effect.gen(function* () {
      const stats = yield* Stats;
      stats.ended("a", "succeeded", usage);
      stats.ended("a", "cancelled", { ...usage, draftedTokens: 4, acceptedDraftTokens: 1 });
      stats.ended("a", "failed", undefined);
      const tokens = {
        promptTokens: 10,
        cachedPromptTokens: 4,
        outputTokens: 6,
        draftedTokens: 4,
        acceptedDraftTokens: 1,
      };
      assert.deepEqual((yield* stats.snapshot).get("a"), {
        ...emptyStats(),
        succeeded: 1,
        cancelled: 1,
        failed: 1,
        ...tokens,
      });
    }).pipe(Effect.provide(Stats.layer)),
  );

  it.effect("count what was generated again, and how often that helped", () =>
    Effect.gen(function* () {
      const stats = yield* Stats;
      stats.retried("a", true);
      stats.retried("a", false);
      assert.deepEqual((yield* stats.snapshot).get("a"), { ...emptyStats(), retried: 2, recovered: 1 });
    }).pipe(Effect.provide(Stats.layer)),
  );

  it.effect("are copied, so that a snapshot does not change", () =>
    Effect.gen(function* () {
      const stats = yield* Stats;
      stats.move("a", "running", 1);
      const before = yield* stats.snapshot;
      stats.move("a", "running", -1);
      assert.equal(before.get("a")?.running, 1);
    }).pipe(Effect.provide(Stats.layer)),
  );
});
