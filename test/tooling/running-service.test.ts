/** Killed test runners left their services behind, with engines that hold gigabytes, and the proxies in front of them. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { assert, describe, it } from "vitest";

import { isAlive } from "../support/is-alive.ts";

const at = (name: string): string => JSON.stringify(new URL(`../support/${name}`, import.meta.url).href);

const startsService = `
  import { startService } from ${at("running-service.ts")};
  const { process: child } = await startService();
  console.log(child.pid);
`;

const startsProgram = `
  import { spawn } from "node:child_process";
  import { endWithThisProcess } from ${at("end-with-this-process.ts")};
  console.log(endWithThisProcess(spawn("sleep", ["3600"], { stdio: "ignore" })).pid);
`;

describe.each([
  ["a service", startsService],
  ["a program that is not Node's", startsProgram],
])("%s that a test has started", (_, starts) => {
  it("ends with the test's process, also where that is killed", { timeout: 600_000 }, async () => {
    const runner = spawn(process.execPath, ["--input-type=module", "--eval", starts], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface({ input: runner.stdout }), "line")) as [string];
    const pid = Number(line);
    assert.isTrue(await isAlive(pid));
    runner.kill("SIGKILL");
    while (await isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 50));
  });
});
