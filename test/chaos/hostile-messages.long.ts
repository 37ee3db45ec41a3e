/** Two thousand hostile messages. */
import { assert, describe, it } from "vitest";

import { serviceAtRest } from "./at-rest.ts";
import { tellFigures } from "./figures.ts";
import { sendHostile } from "./hostile-messages.ts";

describe("hostile messages", () => {
  const { service, isBack } = serviceAtRest({}, ({ port }) => sendHostile(port, 200, 12));

  it("two thousand of them", async () => {
    const answers = await sendHostile(service().port, 2_000, 4711);
    for (const told of answers.keys()) assert.notMatch(told, /^5(?!0[134])|grpc-13$/, JSON.stringify([...answers]));
    const grown = await isBack({ memoryBytes: 160 * 1024 ** 2 });
    const told = [...answers].map(([status, count]) => `${count} ${status}`).join(", ");
    await tellFigures("hostile messages", `2000 messages: ${told}; service ${grown} MiB more`);
  });
});
