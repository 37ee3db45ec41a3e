import { assert, describe, it } from "@effect/vitest";

import { assumedRatio, Pace } from "../../../../src/service/worker/speculation/pace.ts";

const repeat = (times: number, step: () => void) => {
  for (let time = 0; time < times; time++) step();
};

/** Plain steps of this time have been measured. */
const paced = (ms: number, rows = 1) => {
  const pace = new Pace();
  repeat(4, () => pace.addPlain(rows, ms));
  return pace;
};

describe("the pace of verifications", () => {
  it("is an estimate until it is measured, from the second verification of a shape on", () => {
    const pace = paced(10);
    assert.equal(pace.ratio(1, 4, "lookup"), assumedRatio(4, "lookup"));
    assert.isAbove(assumedRatio(4, "model"), assumedRatio(4, "lookup"));
    pace.addVerified(1, 4, "lookup", 500); // with what is done only once
    assert.equal(pace.ratio(1, 4, "lookup"), assumedRatio(4, "lookup"));
    pace.addVerified(1, 4, "lookup", 20);
    assert.equal(pace.ratio(1, 4, "lookup"), 2);
    assert.equal(pace.ratio(1, 5, "lookup"), assumedRatio(5, "lookup"));
    assert.equal(pace.ratio(1, 4, "model"), assumedRatio(4, "model"));
  });

  it("follows a change slowly, and a step that something else delayed hardly at all", () => {
    const pace = paced(10);
    repeat(2, () => pace.addVerified(1, 2, "lookup", 10));
    pace.addVerified(1, 2, "lookup", 1_000_000);
    assert.isAtMost(pace.ratio(1, 2, "lookup"), 1.5);
    repeat(50, () => pace.addVerified(1, 2, "lookup", 30));
    assert.approximately(pace.ratio(1, 2, "lookup"), 3, 0.05);
  });

  it("shares what it knows among numbers of rows that are rounded up to the same power of two", () => {
    const pace = paced(10, 3);
    assert.isTrue(pace.isKnown(4));
    assert.isFalse(pace.isKnown(2));
    assert.isFalse(pace.isKnown(5));
  });

  it("wants plain steps measured again after 256 verifications", () => {
    const pace = paced(10);
    repeat(255, () => pace.addVerified(1, 2, "lookup", 10));
    assert.isTrue(pace.isKnown(1));
    pace.addVerified(1, 2, "lookup", 10);
    assert.isFalse(pace.isKnown(1));
    repeat(4, () => pace.addPlain(1, 10));
    assert.isTrue(pace.isKnown(1));
  });

  it("does not learn from times that a clock did not see", () => {
    const pace = new Pace();
    repeat(10, () => pace.addPlain(1, 0));
    assert.isFalse(pace.isKnown(1));
  });

  it("tries what did not pay off again, ever more seldom", () => {
    const pace = new Pace();
    const tries: number[] = [];
    for (let refusal = 1; refusal <= 20_000; refusal++) if (pace.retries(1)) tries.push(refusal);
    const pauses = tries.map((at, index) => at - (tries[index - 1] ?? 0));
    assert.deepEqual(pauses, [64, 128, 256, 512, 1024, 2048, 4096, 4096, 4096]);
    assert.isFalse(pace.retries(2));
  });
});
