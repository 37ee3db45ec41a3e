import { assert, describe, it } from "@effect/vitest";

import { Turn } from "../../../src/service/worker/turn.ts";

/** A turn, how often it was told that nothing is computed, and whether what was awaited has come. */
const create = () => {
  let told = 0;
  const turn = new Turn(() => (told += 1));
  const settled = async (promise: Promise<void>): Promise<boolean> => {
    let done = false;
    void promise.then(() => (done = true));
    for (let i = 0; i < 10; i++) await Promise.resolve();
    return done;
  };
  return { turn, settled, told: () => told };
};

describe("a process's turn", () => {
  it("is always there where none are taken", async () => {
    const { turn, settled, told } = create();
    assert.isTrue(await settled(turn.come()));
    assert.strictEqual(told(), 0);
  });

  it("begins with the first start, of which nobody has to be told that nothing is computed", async () => {
    const { turn, settled, told } = create();
    turn.take();
    const coming = turn.come();
    assert.isFalse(await settled(coming));
    turn.start();
    assert.isTrue(await settled(coming));
    assert.strictEqual(told(), 0);
  });

  it("ends after the step, which is told once", async () => {
    const { turn, settled, told } = create();
    turn.stop();
    assert.strictEqual(told(), 0, "a step is under way");
    const coming = turn.come();
    assert.isFalse(await settled(coming));
    assert.strictEqual(told(), 1);
    turn.start();
    assert.isTrue(await settled(coming));
    turn.stop();
    void turn.come();
    assert.strictEqual(told(), 2);
  });

  // The service waited for ever for a process that was asked in its last step before a rest.
  it("ends at once at rest, also when it was asked for before", async () => {
    for (const isBefore of [true, false]) {
      const { turn, settled, told } = create();
      let work = (): void => {};
      if (isBefore) turn.stop();
      const resting = turn.rest(new Promise((resolve) => (work = resolve)));
      if (!isBefore) turn.stop();
      assert.strictEqual(told(), 1);
      work();
      assert.isFalse(await settled(resting), "work has come, but not the turn");
      assert.strictEqual(told(), 1);
      turn.start();
      assert.isTrue(await settled(resting));
    }
  });
});
