import { assert, describe, it } from "@effect/vitest";

import { gpuWorkingSet, mostModelBytes, readMachineMemory } from "../../../src/service/config/machine-memory.ts";

const gibibyte = 1024 ** 3;

describe("the memory of a machine", () => {
  it("gives the GPU two thirds of a small Mac, three quarters of a large one, or what the limit says", () => {
    assert.strictEqual(gpuWorkingSet(24 * gibibyte, 0), 16 * gibibyte);
    assert.strictEqual(gpuWorkingSet(64 * gibibyte, 0), 48 * gibibyte);
    assert.strictEqual(gpuWorkingSet(64 * gibibyte, 56 * 1024), 56 * gibibyte);
  });

  it("never gives the GPU more than there is", () => {
    assert.strictEqual(gpuWorkingSet(16 * gibibyte, 32 * 1024), 16 * gibibyte);
  });

  it("leaves 4 GiB for the system, a quarter of a small machine", () => {
    const most = (total: number, working: number) =>
      mostModelBytes({ totalBytes: total * gibibyte, gpuWorkingSetBytes: working * gibibyte });
    assert.strictEqual(most(16, 16), 12 * gibibyte);
    assert.strictEqual(most(8, 8), 6 * gibibyte);
    assert.strictEqual(most(64, 40), 36 * gibibyte);
  });

  it("is not bounded by a GPU where there is none", () => {
    assert.strictEqual(mostModelBytes({ totalBytes: gibibyte, gpuWorkingSetBytes: undefined }), Infinity);
  });

  it("is read from this machine", () => {
    const { totalBytes, gpuWorkingSetBytes } = readMachineMemory();
    assert.isAbove(totalBytes, 0);
    assert.strictEqual(gpuWorkingSetBytes === undefined, process.platform !== "darwin" || process.arch !== "arm64");
  });
});
