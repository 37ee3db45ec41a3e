import { assert, describe, it } from "vitest";

import { maxWaitingJobs, maxWaitingOfShare, WaitingJobs } from "../../../src/service/sandbox/WaitingJobs.ts";

interface Job {
  readonly name: string;
  readonly isLarge: boolean;
  readonly share: string | undefined;
}

const jobOf = (name: string, share = name.slice(0, 1), isLarge = false): Job => ({ name, isLarge, share });
const ownJob: Job = { name: "own", isLarge: false, share: undefined };

/** What is begun, in order, by whoever may begin. */
const drain = (waiting: WaitingJobs<Job>, mayBegin: (job: Job) => boolean = () => true): ReadonlyArray<string> => {
  const begun: string[] = [];
  while (waiting.take((job) => mayBegin(job) && begun.push(job.name) > 0)) continue;
  return begun;
};

const waitingOf = (...jobs: Job[]): WaitingJobs<Job> => {
  const waiting = new WaitingJobs<Job>();
  for (const job of jobs) assert.isUndefined(waiting.add(job));
  return waiting;
};

describe("waiting jobs", () => {
  it("are begun in turns, the service's own first", () => {
    const jobs = ["a1", "a2", "a3", "b1", "c1", "b2"].map((name) => jobOf(name));
    assert.deepStrictEqual(drain(waitingOf(...jobs, ownJob)), ["own", "a1", "b1", "c1", "a2", "b2", "a3"]);
  });

  it("that cannot begin hold up no other, of the same caller or of another", () => {
    const waiting = waitingOf(...["a1", "a2", "b1"].map((name) => jobOf(name)));
    assert.deepStrictEqual(
      drain(waiting, ({ name }) => name !== "a1"),
      ["a2", "b1"],
    );
    assert.deepStrictEqual(drain(waiting), ["a1"]);
  });

  it("that had begun once go first in their caller's turn", () => {
    const waiting = waitingOf(jobOf("a1"), jobOf("b1"));
    waiting.addFirst(jobOf("b0"));
    assert.deepStrictEqual(drain(waiting), ["a1", "b0", "b1"]);
  });

  it("that are given up are not begun", () => {
    const [first, second] = [jobOf("a1"), jobOf("a2")];
    const waiting = waitingOf(first, second);
    waiting.remove(first);
    waiting.remove(first);
    assert.deepStrictEqual(drain(waiting), ["a2"]);
  });

  it("of one caller are refused where it has many, small and large apart", () => {
    const waiting = waitingOf(...Array.from({ length: maxWaitingOfShare }, () => jobOf("a")));
    const more = jobOf("a");
    assert.deepStrictEqual(waiting.add(more), { job: more, before: maxWaitingOfShare });
    assert.isUndefined(waiting.add(jobOf("a", "a", true)));
  });

  it("take the place of whoever has most, where there are too many in all", () => {
    const waiting = new WaitingJobs<Job>();
    const many = Array.from({ length: maxWaitingOfShare }, (_, index) => jobOf(`most ${index}`, "most"));
    for (const job of many) assert.isUndefined(waiting.add(job));
    for (let index = 0; index < maxWaitingJobs - maxWaitingOfShare; index++) {
      assert.isUndefined(waiting.add(jobOf(`x${index}`, `share ${index % 100}`)));
    }
    assert.strictEqual(waiting.add(jobOf("newcomer"))?.job, many.at(-1));
    assert.isUndefined(waiting.add(ownJob));
    const begun = drain(waiting);
    assert.include(begun, "newcomer");
    assert.isBelow(begun.indexOf("newcomer"), 110);
    assert.strictEqual(begun.length, maxWaitingJobs + 1);
  });
});
