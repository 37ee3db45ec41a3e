/** What Lane.test.ts starts with a low limit of descriptors: it starts a lane while none is left, and tells how that ends. */
import { closeSync, openSync } from "node:fs";

import { Lane, type LaneListener } from "../../../src/service/sandbox/Lane.ts";

const begin = (onExit: LaneListener["onExit"]): Lane =>
  new Lane({ timeLimitMs: 60_000, memoryBytes: 256 * 1024 ** 2 }, process.env, false, { onMessage: () => {}, onExit });

// The first one finds out how processes are started here.
await new Promise<void>((resolve) => begin(() => resolve()).kill());
const taken: number[] = [];
try {
  for (;;) taken.push(openSync("/dev/null", "r"));
} catch {
  begin((...end) => {
    for (const descriptor of taken) closeSync(descriptor);
    process.stdout.write(`${JSON.stringify(end)}\n`);
  });
}
