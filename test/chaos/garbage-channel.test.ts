/** Engines of a running service that write garbage to their channel in the middle of a stream. */
import { assert, describe, it } from "vitest";

import { garbageOnSignal } from "../support/garbage-channel.ts";
import { serviceAtRest } from "./at-rest.ts";
import { killEngines } from "./engine-deaths.ts";

describe("an engine that writes garbage to its channel", () => {
  const { service, isBack } = serviceAtRest(garbageOnSignal);

  it("is replaced, its caller is told, and nothing is left of it", async () => {
    const { killed, told } = await killEngines(service(), "decode", 3, "SIGUSR2");
    assert.equal(told, killed);
    assert.include(service().log(), "what is no message");
    await isBack();
  }, 240_000);
});
