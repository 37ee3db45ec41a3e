/** The short form of hostile-messages.long.ts: two hundred messages of every kind. */
import { assert, describe, it } from "vitest";

import { serviceAtRest } from "./at-rest.ts";
import { sendHostile } from "./hostile-messages.ts";

describe("hostile messages", { timeout: 300_000 }, () => {
  const { service, isBack } = serviceAtRest();

  it("are refused as the caller's fault, never as a bug, and leave nothing behind", async () => {
    const answers = await sendHostile(service().port, 200, 99);
    for (const told of answers.keys()) assert.notMatch(told, /^5(?!0[134])|grpc-13$/, JSON.stringify([...answers]));
    await isBack({ memoryBytes: 160 * 1024 ** 2 });
  });
});
