import { expect, it } from "vitest";

import { CpuMeter } from "../../../src/service/load/cpu.ts";

it("tells a share of the machine, which this test keeps busy", () => {
  const meter = new CpuMeter();
  expect(meter.busySinceLast()).toBeLessThanOrEqual(1);
  const until = performance.now() + 300;
  while (performance.now() < until);
  const busy = meter.busySinceLast();
  expect(busy).toBeGreaterThan(0);
  expect(busy).toBeLessThanOrEqual(1);
});
