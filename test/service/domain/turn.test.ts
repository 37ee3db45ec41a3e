import { assert, describe, it } from "vitest";

import { engineSchedulingOf, turnOf } from "../../../src/service/domain/turn.ts";

const interactive = { priority: 0, background: false };

describe("the turn of a task", () => {
  it("is that of the one that came first", () => {
    assert.isBelow(turnOf(interactive, 1_000), turnOf(interactive, 1_001));
  });

  it("comes a second earlier for each level of priority, so that nobody waits for ever", () => {
    assert.strictEqual(turnOf({ ...interactive, priority: 1 }, 2_000), turnOf(interactive, 1_000));
  });

  it("is told to the engine, with whether it is an item of a job", () => {
    const fairnessId = "tenant/one";
    const turn = turnOf(interactive, 1_000);
    assert.deepEqual(engineSchedulingOf({ ...interactive, fairnessId }, 1_000), { turn, fairnessId });
    assert.propertyVal(engineSchedulingOf({ background: true, fairnessId }, 1_000), "background", true);
  });

  it("of a job's item comes after that of every interactive call", () => {
    const item = { priority: 100, background: true };
    const years = 3 * 365 * 24 * 3_600_000;
    assert.isBelow(turnOf({ ...interactive, priority: -100 }, years), turnOf(item, 0));
  });
});
