import { setImmediate as nextTurn } from "node:timers/promises";
import { assert, describe, it } from "vitest";

import { Pace } from "../../../src/service/access/Pace.ts";

const count = (pace: Pace, times: number, now: number): ReadonlyArray<number> =>
  Array.from({ length: times }, () => pace.holdMs(now));

describe("the pace of refusals", () => {
  it("sends some at once, and holds the others back evenly", () => {
    const held = count(new Pace(), 25, 1e6);
    assert.deepEqual(held, [...Array.from({ length: 20 }, () => 0), 40, 80, 120, 160, 200]);
  });

  it("forgets what was refused a while ago", () => {
    const pace = new Pace();
    count(pace, 100, 1e6);
    assert.deepEqual(count(pace, 21, 1e6 + 60_000), [...Array.from({ length: 20 }, () => 0), 40]);
  });

  it("lets callers that wait for their answer be refused 25 times a second, however many they are", () => {
    const pace = new Pace();
    let refused = 0;
    const callers = Array.from({ length: 64 }, () => 1e6);
    for (;;) {
      const at = callers.indexOf(Math.min(...callers));
      const now = callers[at] ?? 0;
      if (now >= 1e6 + 10_000) break;
      refused += 1;
      callers[at] = now + pace.holdMs(now);
    }
    assert.approximately(refused, 250 + 20 + 64, 64);
  });

  it("holds none back for more than two seconds, and for half of what its caller waits", () => {
    const pace = new Pace();
    assert.equal(Math.max(...count(pace, 10_000, 1e6)), 2000);
    assert.equal(pace.holdMs(1e6, 100), 50);
    assert.equal(pace.holdMs(1e6, -1), 0);
    assert.isAtMost(Math.max(...count(pace, 1, 1e6 + 2000)), 40);
  });

  /** Whether it has been sent by now. */
  const isSent = (refusal: Promise<void>): Promise<boolean> =>
    Promise.race([refusal.then(() => true), nextTurn(false)]);

  it("holds one back until its caller leaves", async () => {
    const pace = new Pace();
    count(pace, 10_000, performance.now());
    const caller = new AbortController();
    const refusal = pace.hold(caller.signal);
    assert.isFalse(await isSent(refusal));
    caller.abort();
    assert.isTrue(await isSent(refusal));
    assert.isTrue(await isSent(pace.hold(caller.signal)), "it has left before");
  });

  it("holds 256 back at once, and sends further ones", async () => {
    const pace = new Pace();
    count(pace, 10_000, performance.now());
    const callers = Array.from({ length: 256 }, () => new AbortController());
    const refusals = callers.map(({ signal }) => pace.hold(signal));
    const { signal } = new AbortController();
    assert.isTrue(await isSent(pace.hold(signal)));
    callers[0]?.abort();
    await refusals[0];
    const next = pace.hold(signal);
    assert.isTrue(await isSent(pace.hold(signal)), "its place was taken");
    for (const caller of callers) caller.abort();
    await Promise.all([...refusals, next]);
  });
});
