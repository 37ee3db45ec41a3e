/** The short form of callers.long.ts: four hundred callers that come and go. */
import { assert, describe, it } from "vitest";

import { serviceAtRest } from "./at-rest.ts";
import { callAndLeave } from "./callers.ts";

describe("callers that cancel, are late, read slowly and vanish", { timeout: 300_000 }, () => {
  const { service, isBack } = serviceAtRest();

  it("leave nothing behind, and the others are answered", async () => {
    const endings = await callAndLeave(service(), { calls: 400, callers: 24, seed: 20_260_101 });
    assert.strictEqual(
      [...endings.values()].reduce((sum, count) => sum + count, 0),
      400,
    );
    assert.isAbove(endings.get("finished") ?? 0, 100);
    for (const bug of ["INTERNAL", "ENGINE_LOST", "nothing", "chunk", "started"]) {
      assert.isUndefined(endings.get(bug), `${bug} of ${JSON.stringify([...endings])}`);
    }
    await isBack();
  });
});
