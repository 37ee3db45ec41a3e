import { expect, it } from "vitest";

import { Smoothed } from "../../../src/service/load/smoothed.ts";

it("begins with the first sample, and goes over to others in its time, however often it is asked", () => {
  for (const stepMs of [100, 500]) {
    const smoothed = new Smoothed(7_000);
    smoothed.add(1, stepMs);
    expect(smoothed.value).toBe(1);
    for (let ms = 0; ms < 7_000; ms += stepMs) smoothed.add(0, stepMs);
    expect(smoothed.value).toBeCloseTo(1 / Math.E, 5);
  }
});

it("makes no jump of one sample", () => {
  const smoothed = new Smoothed(7_000);
  smoothed.add(0.5, 500);
  smoothed.add(100, 500);
  expect(smoothed.value).toBeLessThan(8);
});
