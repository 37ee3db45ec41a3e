import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { assert, describe, it } from "vitest";

import { launch } from "../../../src/service/processes/launch.ts";

const program = fileURLToPath(new URL("launch-program.ts", import.meta.url));

describe("launch", () => {
  it("is Node with these options, its channel and its own name", async () => {
    const child = fork(program, ["child"], launch(["--max-old-space-size=123"]));
    const [told] = (await once(child, "message")) as [{ argv: string[]; ppid: number }];
    child.kill();
    assert.include(told.argv, "--max-old-space-size=123");
    assert.strictEqual(told.ppid, process.pid);
  });

  it("has a process ended that is stopped when its parent is killed", async (context) => {
    if (process.platform !== "linux") return context.skip("only Linux's kernel ends a process that is stopped");
    const parent = fork(program, ["parent"]);
    const [pid] = (await once(parent, "message")) as [number];
    process.kill(pid, "SIGSTOP");
    parent.kill("SIGKILL");
    await once(parent, "exit");
    while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
  });
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
