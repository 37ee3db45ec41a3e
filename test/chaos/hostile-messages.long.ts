/** Two thousand hostile messages. */
import { afterAll, assert, beforeAll, describe, it } from "vitest";

import { type RunningService, startService } from "../support/running-service.ts";
import { isBackAt, mebibytes, type Rest, restOf } from "./at-rest.ts";
import { tellFigures } from "./figures.ts";
import { sendHostile } from "./hostile-messages.ts";

describe("hostile messages", () => {
  let service: RunningService;
  let before: Rest;
  beforeAll(async () => {
    service = await startService();
    await sendHostile(service.port, 200, 12);
    before = await restOf(service);
  });
  afterAll(() => service.stop());

  it("two thousand of them", async () => {
    const answers = await sendHostile(service.port, 2_000, 4711);
    for (const told of answers.keys()) assert.notMatch(told, /^5(?!0[134])|grpc-13$/, JSON.stringify([...answers]));
    const after = await isBackAt(service, before, { memoryBytes: 256 * 1024 ** 2 });
    const told = [...answers].map(([status, count]) => `${count} ${status}`).join(", ");
    await tellFigures(
      "hostile messages",
      `2000 messages: ${told}; service ${mebibytes(after.residentBytes - before.residentBytes)} MiB more`,
    );
  });
});
