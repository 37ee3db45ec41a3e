/** What process-group.test.ts starts with a low limit of descriptors: it starts groups while few are left, and tells how they end. */
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { startGroup } from "../../../src/service/processes/process-group.ts";

const taken: number[] = [];

const takeAllBut = (left: number): void => {
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    for (const descriptor of taken.splice(taken.length - left)) closeSync(descriptor);
  }
};

const ends: string[] = [];
let written = "";
// Too few for its streams, enough for these but not to look for its processes, and enough.
for (const left of [0, 4, 8, 10, 20]) {
  takeAllBut(left);
  const group = startGroup({
    command: ["/bin/sh", "-c", 'echo "$$"; sleep 1000'],
    environment: process.env,
    directory: "/",
    onOutput: (text) => (written += text),
  });
  await sleep(200);
  await group.residentBytes().catch(() => {});
  await group.end();
  ends.push(await group.ended);
}
for (const descriptor of taken) closeSync(descriptor);
process.stdout.write(`${JSON.stringify({ ends, pids: (written.match(/\d+/g) ?? []).map(Number) })}\n`);
