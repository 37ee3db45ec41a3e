/** The short form of hostile-messages.long.ts: two hundred messages of every kind. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { type RunningService, startService } from "../support/running-service.ts";
import { isBackAt, type Rest, restOf } from "./at-rest.ts";
import { sendHostile } from "./hostile-messages.ts";

describe("hostile messages", { timeout: 300_000 }, () => {
  let service: RunningService;
  let before: Rest;
  beforeAll(async () => {
    service = await startService();
    before = await restOf(service);
  }, 300_000);
  afterAll(() => service.stop());

  it("are refused as the caller's fault, never as a bug, and leave nothing behind", async () => {
    const answers = await sendHostile(service.port, 200, 99);
    for (const told of answers.keys()) assert.notMatch(told, /^5(?!0[134])|grpc-13$/, JSON.stringify([...answers]));
    await isBackAt(service, before, { memoryBytes: 160 * 1024 ** 2 });
  });
});
