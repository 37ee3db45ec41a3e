/** Two hundred engines that are killed, forty at each stage. */
import { assert, describe, it } from "vitest";

import { serviceAtRest } from "./at-rest.ts";
import { killEngines, stages } from "./engine-deaths.ts";
import { tellFigures } from "./figures.ts";

describe("engines that are killed", () => {
  const { service, isBack } = serviceAtRest({ MLXD_SPECULATION: "always" });

  it.each(stages)("forty times at %s", async (stage) => {
    const { killed, answered, told } = await killEngines(service(), stage, 40);
    assert.strictEqual(answered + told, killed);
    const grown = await isBack();
    await tellFigures(
      `kill -9 of the engine at ${stage}`,
      `${killed} times: ${answered} answered by the next process, ${told} told ENGINE_LOST or to try again; service ${grown} MiB more`,
    );
  });
});
