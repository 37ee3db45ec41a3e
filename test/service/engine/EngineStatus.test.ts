import { assert, describe, it } from "@effect/vitest";

import { noMemory, takenBytes } from "../../../src/service/engine/EngineStatus.ts";

describe("what an engine takes of the memory budget", () => {
  const status = {
    ...noMemory,
    residentBytes: 300,
    mlxActiveBytes: 800,
    mlxCacheBytes: 50,
    backend: undefined,
    restarts: 0,
  };

  it("is on a GPU what MLX holds, where that is more than the process's own pages", () => {
    assert.strictEqual(takenBytes({ ...status, device: "metal" }), 850);
    assert.strictEqual(takenBytes({ ...status, device: "metal", residentBytes: 900 }), 900);
  });

  it("is on a CPU what the system says of its process", () => {
    assert.strictEqual(takenBytes({ ...status, device: "cpu" }), 300);
  });
});
