/** Ten thousand calls of callers that cancel, are late, read slowly and vanish, over every protocol. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { type RunningService, startService } from "../support/running-service.ts";
import { isBackAt, mebibytes, type Rest, restOf } from "./at-rest.ts";
import { callAndLeave } from "./callers.ts";
import { tellFigures } from "./figures.ts";

describe("callers", () => {
  let service: RunningService;
  let before: Rest;
  beforeAll(async () => {
    service = await startService();
    // What V8 compiles and keeps room for comes with the first thousands of calls, and then no more.
    await callAndLeave(service, { calls: 2_000, callers: 48, seed: 11 });
    before = await restOf(service);
  });
  afterAll(() => service.stop());

  it("that come and go ten thousand times leave nothing behind", async () => {
    const endings = await callAndLeave(service, { calls: 10_000, callers: 48, seed: 7 });
    for (const bug of ["INTERNAL", "ENGINE_LOST", "nothing", "chunk", "started"]) {
      assert.isUndefined(endings.get(bug), `${bug} of ${JSON.stringify([...endings])}`);
    }
    const after = await isBackAt(service, before);
    const told = [...endings].map(([ending, count]) => `${count} ${ending}`).join(", ");
    await tellFigures(
      "callers that cancel, are late, read slowly and vanish",
      `10000 calls: ${told}; service ${mebibytes(after.residentBytes - before.residentBytes)} MiB more`,
    );
  });
});
