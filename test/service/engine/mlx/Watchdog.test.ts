import { assert, describe, it } from "@effect/vitest";

import { Watchdog } from "../../../../src/service/engine/mlx/Watchdog.ts";

const second = 1_000;

const create = () => {
  const time = { now: 5_000 };
  return { watchdog: new Watchdog(() => time.now, 2 * second), time };
};

/** Time passes; the process answers every second, unless it is silent. */
const pass = (
  { watchdog, time }: ReturnType<typeof create>,
  seconds: number,
  each: () => void = () => watchdog.heard(),
): void => {
  for (let i = 0; i < seconds; i++) {
    time.now += second;
    watchdog.tick();
    each();
  }
};

describe("the watchdog", () => {
  it("finds a process that does not answer, also while it has nothing to do", () => {
    const own = create();
    const { watchdog } = own;
    pass(own, 60);
    assert.strictEqual(watchdog.stalledMs, 0);
    pass(own, 5, () => {});
    assert.strictEqual(watchdog.stalledMs, 5 * second);
    watchdog.heard();
    assert.strictEqual(watchdog.stalledMs, 0);
  });

  it("finds a process that answers and steps, and brings nobody anything", () => {
    const own = create();
    const { watchdog } = own;
    watchdog.given(1);
    watchdog.admitted(1);
    pass(own, 7);
    assert.strictEqual(watchdog.stalledMs, 7 * second);
    watchdog.progressed(1);
    assert.strictEqual(watchdog.stalledMs, 0);
  });

  it("finds one that does not begin with what it was given", () => {
    const own = create();
    const { watchdog } = own;
    pass(own, 30);
    watchdog.given(1);
    assert.strictEqual(watchdog.stalledMs, 0, "it was idle, not late");
    pass(own, 4);
    assert.strictEqual(watchdog.stalledMs, 4 * second);
  });

  it("finds the one stream between whose tokens a gap opens, while the others run and some wait", () => {
    const own = create();
    const { watchdog } = own;
    for (const sequence of [1, 2, 3]) watchdog.given(sequence);
    watchdog.admitted(1);
    watchdog.admitted(2);
    pass(own, 10, () => {
      watchdog.heard();
      watchdog.progressed(2);
    });
    assert.strictEqual(watchdog.stalledMs, 0);
    assert.deepEqual(watchdog.stuck(9 * second), [1]);
    assert.deepEqual(watchdog.stuck(10 * second), []);
    watchdog.ended(1);
    assert.deepEqual(watchdog.stuck(second), []);
  });

  it("counts a prompt's slices as progress", () => {
    const own = create();
    const { watchdog } = own;
    watchdog.given(1);
    watchdog.admitted(1);
    pass(own, 100, () => {
      watchdog.heard();
      watchdog.progressed(1);
    });
    assert.deepEqual(watchdog.stuck(second), []);
  });

  it("holds nothing against an engine that the service itself slept through", () => {
    const own = create();
    const { watchdog } = own;
    watchdog.given(1);
    watchdog.admitted(1);
    own.time.now += 3_600 * second;
    watchdog.tick();
    assert.isAtMost(watchdog.stalledMs, 2 * second);
    assert.deepEqual(watchdog.stuck(2 * second), []);
  });

  it("holds nothing against an engine that waits for its turn to compute, but that it does not answer", () => {
    const own = create();
    const { watchdog } = own;
    watchdog.given(1);
    watchdog.admitted(1);
    pass(own, 3);
    watchdog.holdUp();
    pass(own, 600);
    assert.strictEqual(watchdog.stalledMs, 3 * second);
    watchdog.goOn();
    pass(own, 4);
    assert.strictEqual(watchdog.stalledMs, 7 * second);
    assert.deepEqual(watchdog.stuck(6 * second), [1]);
    watchdog.holdUp();
    pass(own, 20, () => {});
    assert.strictEqual(watchdog.stalledMs, 20 * second);
  });

  it("knows nothing of the process before", () => {
    const own = create();
    const { watchdog } = own;
    watchdog.given(1);
    watchdog.admitted(1);
    pass(own, 60, () => {});
    watchdog.reset();
    assert.strictEqual(watchdog.stalledMs, 0);
    assert.deepEqual(watchdog.stuck(0), []);
  });
});
