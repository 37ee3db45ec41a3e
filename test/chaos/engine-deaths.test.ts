/** The short form of engine-deaths.long.ts. */
import { assert, describe, it } from "vitest";

import { serviceAtRest } from "./at-rest.ts";
import { killEngines, stages } from "./engine-deaths.ts";

describe("engines that are killed", { timeout: 300_000 }, () => {
  const { service, isBack } = serviceAtRest({ MLXD_SPECULATION: "always" });

  it.each(stages)("at %s: each call is answered or told why not, and all is back", async (stage) => {
    const { killed, answered, told } = await killEngines(service(), stage, 2);
    assert.strictEqual(answered + told, killed);
    await isBack();
  });
});
