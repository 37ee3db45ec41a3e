import { assert, it } from "vitest";

import { Smoothed } from "../../../src/service/load/smoothed.ts";

it("begins with the first sample, and goes over to others in its time, however often it is asked", () => {
  for (const stepMs of [100, 500]) {
    const smoothed = new Smoothed(7_000);
    smoothed.add(1, stepMs);
    assert.strictEqual(smoothed.value, 1);
    for (let ms = 0; ms < 7_000; ms += stepMs) smoothed.add(0, stepMs);
    assert.approximately(smoothed.value, 1 / Math.E, 1e-5);
  }
});

it("makes no jump of one sample", () => {
  const smoothed = new Smoothed(7_000);
  smoothed.add(0.5, 500);
  smoothed.add(100, 500);
  assert.isBelow(smoothed.value, 8);
});
