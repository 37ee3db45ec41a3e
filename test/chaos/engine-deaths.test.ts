/** The short form of engine-deaths.long.ts. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { type RunningService, startService } from "../support/running-service.ts";
import { isBackAt, type Rest, restOf } from "./at-rest.ts";
import { killEngines, stages } from "./engine-deaths.ts";

describe("engines that are killed", { timeout: 300_000 }, () => {
  let service: RunningService;
  let before: Rest;
  beforeAll(async () => {
    service = await startService({ MLXD_SPECULATION: "always" });
    before = await restOf(service);
  }, 300_000);
  afterAll(() => service.stop());

  it.each(stages)("at %s: each call is answered or told why not, and all is back", async (stage) => {
    const { killed, answered, told } = await killEngines(service, stage, 2);
    assert.strictEqual(answered + told, killed);
    await isBackAt(service, before);
  });
});
