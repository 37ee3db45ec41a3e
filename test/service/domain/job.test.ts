import { assert, describe, it } from "vitest";

import {
  endOf,
  isOver,
  type JobEvent,
  type JobState,
  jobStates,
  nextJobState,
} from "../../../src/service/domain/job.ts";

/** What follows each state, event by event; `-` where the job stays as it is. */
const table: Readonly<Record<JobState, Readonly<Record<JobEvent, JobState | "-">>>> = {
  pending: { start: "in-progress", complete: "-", fail: "failed", cancel: "cancelled", expire: "expired" },
  "in-progress": {
    start: "in-progress",
    complete: "completed",
    fail: "failed",
    cancel: "cancelled",
    expire: "expired",
  },
  completed: { start: "-", complete: "-", fail: "-", cancel: "-", expire: "-" },
  failed: { start: "-", complete: "-", fail: "-", cancel: "-", expire: "-" },
  cancelled: { start: "-", complete: "-", fail: "-", cancel: "-", expire: "-" },
  expired: { start: "-", complete: "-", fail: "-", cancel: "-", expire: "-" },
};

describe("the states of a job", () => {
  for (const state of jobStates) {
    for (const [event, next] of Object.entries(table[state])) {
      it(`${event} makes a job that is ${state} ${next === "-" ? "stay so" : next}`, () => {
        assert.strictEqual(nextJobState(state, event as JobEvent) ?? "-", next);
      });
    }
  }

  it("is over once nothing follows", () => {
    const over = jobStates.filter((state) => Object.values(table[state]).every((next) => next === "-"));
    assert.deepEqual(jobStates.filter(isOver), over);
    assert.deepEqual(over, ["completed", "failed", "cancelled", "expired"]);
  });
});

describe("the end of a job", () => {
  const ends = (sealed: boolean, total: number, completed: number, failed: number) =>
    endOf({ sealed, counts: { total, completed, failed } });

  it("is not there before it is sealed", () => assert.isUndefined(ends(false, 2, 2, 0)));
  it("is not there before every item has its outcome", () => assert.isUndefined(ends(true, 3, 1, 1)));
  it("is complete with one result at least", () => assert.strictEqual(ends(true, 3, 1, 2), "complete"));
  it("is a failure where all items have errors", () => assert.strictEqual(ends(true, 2, 0, 2), "fail"));
});
