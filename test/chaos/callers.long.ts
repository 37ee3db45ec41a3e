/** Ten thousand calls of callers that cancel, are late, read slowly and vanish, over every protocol. */
import { afterAll, assert, describe, it } from "vitest";

import { heldMemory } from "../support/held-memory.ts";
import { serviceAtRest } from "./at-rest.ts";
import { callAndLeave } from "./callers.ts";
import { tellFigures } from "./figures.ts";

describe("callers", () => {
  const memory = heldMemory();
  let heldBefore = 0;
  const { service, isBack } = serviceAtRest(memory.environment, async (started) => {
    // What V8 compiles and keeps room for comes with the first thousands of calls, and then no more.
    await callAndLeave(started, { calls: 2_000, callers: 48, seed: 11 });
    heldBefore = await memory.bytes(started);
  });
  afterAll(() => memory.remove());

  it("that come and go ten thousand times leave nothing behind", async () => {
    const endings = await callAndLeave(service(), { calls: 10_000, callers: 48, seed: 7 });
    for (const bug of ["INTERNAL", "ENGINE_LOST", "nothing", "chunk", "started"]) {
      assert.isUndefined(endings.get(bug), `${bug} of ${JSON.stringify([...endings])}`);
    }
    const grown = await isBack({ memoryBytes: 160 * 1024 ** 2 });
    const held = (await memory.bytes(service())) - heldBefore;
    assert.isAtMost(held, 8 * 1024 ** 2, "a leak of 1 kB a call would be 10 MB");
    const told = [...endings].map(([ending, count]) => `${count} ${ending}`).join(", ");
    await tellFigures(
      "callers that cancel, are late, read slowly and vanish",
      `10000 calls: ${told}; service ${grown} MiB more, ${(held / 1024 ** 2).toFixed(1)} MiB of them held`,
    );
  });
});
