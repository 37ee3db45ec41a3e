/** Killed test runners left their services behind, with engines that hold gigabytes. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { assert, describe, it } from "vitest";

const starts = `
  import { startService } from ${JSON.stringify(new URL("../support/running-service.ts", import.meta.url).href)};
  const { process: child } = await startService();
  console.log(child.pid);
`;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe("a service that a test has started", () => {
  it("ends with the test's process, also where that is killed", { timeout: 600_000 }, async () => {
    const runner = spawn(process.execPath, ["--input-type=module", "--eval", starts], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface({ input: runner.stdout }), "line")) as [string];
    const pid = Number(line);
    assert.isTrue(isAlive(pid));
    runner.kill("SIGKILL");
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 50));
  });
});
