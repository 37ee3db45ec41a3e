/** Two hundred engines that are killed, forty at each stage. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { type RunningService, startService } from "../support/running-service.ts";
import { isBackAt, mebibytes, type Rest, restOf } from "./at-rest.ts";
import { killEngines, stages } from "./engine-deaths.ts";
import { tellFigures } from "./figures.ts";

describe("engines that are killed", () => {
  let service: RunningService;
  let before: Rest;
  beforeAll(async () => {
    service = await startService({ MLXD_SPECULATION: "always" });
    before = await restOf(service);
  });
  afterAll(() => service.stop());

  it.each(stages)("forty times at %s", async (stage) => {
    const { killed, answered, told } = await killEngines(service, stage, 40);
    assert.strictEqual(answered + told, killed);
    const after = await isBackAt(service, before);
    const grown = mebibytes(after.residentBytes - before.residentBytes);
    await tellFigures(
      `kill -9 of the engine at ${stage}`,
      `${killed} times: ${answered} answered by the next process, ${told} told ENGINE_LOST or to try again; service ${grown} MiB more`,
    );
  });
});
