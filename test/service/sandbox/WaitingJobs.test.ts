import { describe, expect, it } from "vitest";

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
  for (const job of jobs) expect(waiting.add(job)).toBeUndefined();
  return waiting;
};

describe("waiting jobs", () => {
  it("are begun in turns, the service's own first", () => {
    const jobs = ["a1", "a2", "a3", "b1", "c1", "b2"].map((name) => jobOf(name));
    expect(drain(waitingOf(...jobs, ownJob))).toEqual(["own", "a1", "b1", "c1", "a2", "b2", "a3"]);
  });

  it("that cannot begin hold up no other, of the same caller or of another", () => {
    const waiting = waitingOf(...["a1", "a2", "b1"].map((name) => jobOf(name)));
    expect(drain(waiting, ({ name }) => name !== "a1")).toEqual(["a2", "b1"]);
    expect(drain(waiting)).toEqual(["a1"]);
  });

  it("that had begun once go first in their caller's turn", () => {
    const waiting = waitingOf(jobOf("a1"), jobOf("b1"));
    waiting.addFirst(jobOf("b0"));
    expect(drain(waiting)).toEqual(["a1", "b0", "b1"]);
  });

  it("that are given up are not begun", () => {
    const [first, second] = [jobOf("a1"), jobOf("a2")];
    const waiting = waitingOf(first, second);
    waiting.remove(first);
    waiting.remove(first);
    expect(drain(waiting)).toEqual(["a2"]);
  });

  it("of one caller are refused where it has many, small and large apart", () => {
    const waiting = waitingOf(...Array.from({ length: maxWaitingOfShare }, () => jobOf("a")));
    const more = jobOf("a");
    expect(waiting.add(more)).toEqual({ job: more, before: maxWaitingOfShare });
    expect(waiting.add(jobOf("a", "a", true))).toBeUndefined();
  });

  it("take the place of whoever has most, where there are too many in all", () => {
    const waiting = new WaitingJobs<Job>();
    const many = Array.from({ length: maxWaitingOfShare }, (_, index) => jobOf(`most ${index}`, "most"));
    for (const job of many) expect(waiting.add(job)).toBeUndefined();
    for (let index = 0; index < maxWaitingJobs - maxWaitingOfShare; index++) {
      expect(waiting.add(jobOf(`x${index}`, `share ${index % 100}`))).toBeUndefined();
    }
    expect(waiting.add(jobOf("newcomer"))?.job).toBe(many.at(-1));
    expect(waiting.add(ownJob)).toBeUndefined();
    const begun = drain(waiting);
    expect(begun).toContain("newcomer");
    expect(begun.indexOf("newcomer")).toBeLessThan(110);
    expect(begun.length).toBe(maxWaitingJobs + 1);
  });
});
