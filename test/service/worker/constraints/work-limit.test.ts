import { assert, describe, it } from "@effect/vitest";

import { GrammarTooHard, WorkLimit } from "../../../../src/service/worker/constraints/work-limit.ts";

/** Computes until the limit ends it, or so many times. */
const work = (limit: WorkLimit, steps: number) => {
  for (let step = 0; step < steps; step++) limit.spend();
};

describe("a limit of work", () => {
  it("ends work that goes on for ever, with its reason", () => {
    assert.throws(
      () => work(new WorkLimit(20, "too many states"), Number.POSITIVE_INFINITY),
      GrammarTooHard,
      "too many states",
    );
  });

  it("lets work end that is in time", () => {
    work(new WorkLimit(3_600_000, "never"), 100_000);
  });

  it("does not count what is done meanwhile", () => {
    let calls = 0;
    const meanwhile = () => {
      calls += 1;
      const began = process.threadCpuUsage().user;
      while (process.threadCpuUsage().user - began < 20_000); // as long as the whole limit
    };
    const limit = new WorkLimit(20, "never", meanwhile);
    work(limit, 256 * 10);
    assert.equal(calls, 10);
  });
});
