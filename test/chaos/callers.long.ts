/** Ten thousand calls of callers that cancel, are late, read slowly and vanish, over every protocol. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { heldMemory } from "../support/held-memory.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { isBackAt, mebibytes, type Rest, restOf } from "./at-rest.ts";
import { callAndLeave } from "./callers.ts";
import { tellFigures } from "./figures.ts";

describe("callers", () => {
  const memory = heldMemory();
  let service: RunningService;
  let before: Rest;
  let heldBefore = 0;
  beforeAll(async () => {
    service = await startService(memory.environment);
    // What V8 compiles and keeps room for comes with the first thousands of calls, and then no more.
    await callAndLeave(service, { calls: 2_000, callers: 48, seed: 11 });
    before = await restOf(service);
    heldBefore = await memory.bytes(service);
  });
  afterAll(async () => {
    await service.stop();
    memory.remove();
  });

  it("that come and go ten thousand times leave nothing behind", async () => {
    const endings = await callAndLeave(service, { calls: 10_000, callers: 48, seed: 7 });
    for (const bug of ["INTERNAL", "ENGINE_LOST", "nothing", "chunk", "started"]) {
      assert.isUndefined(endings.get(bug), `${bug} of ${JSON.stringify([...endings])}`);
    }
    const after = await isBackAt(service, before, { memoryBytes: 160 * 1024 ** 2 });
    const held = (await memory.bytes(service)) - heldBefore;
    assert.isAtMost(held, 8 * 1024 ** 2, "a leak of 1 kB a call would be 10 MB");
    const told = [...endings].map(([ending, count]) => `${count} ${ending}`).join(", ");
    await tellFigures(
      "callers that cancel, are late, read slowly and vanish",
      `10000 calls: ${told}; service ${mebibytes(after.residentBytes - before.residentBytes)} MiB more, of which ${mebibytes(held)} are held`,
    );
  });
});
