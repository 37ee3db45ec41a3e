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
});
