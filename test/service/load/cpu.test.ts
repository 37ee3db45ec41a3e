import { assert, it } from "vitest";

import { CpuMeter } from "../../../src/service/load/cpu.ts";

it("tells a share of the machine, which this test keeps busy", () => {
  const meter = new CpuMeter();
  assert.isAtMost(meter.busySinceLast(), 1);
  const until = performance.now() + 300;
  while (performance.now() < until);
  const busy = meter.busySinceLast();
  assert.isAbove(busy, 0);
  assert.isAtMost(busy, 1);
});
