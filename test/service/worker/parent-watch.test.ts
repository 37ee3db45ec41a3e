import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { assert, it } from "vitest";

const program = fileURLToPath(new URL("parent-watch-program.ts", import.meta.url));

it("ends a process that computes without end once its parent was killed", async () => {
  const parent = fork(program, ["parent"]);
  const [pid] = (await once(parent, "message")) as [number];
  parent.kill("SIGKILL");
  const killedAt = performance.now();
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 100));
  // By itself it goes after a minute.
  assert.isBelow(performance.now() - killedAt, 50_000);
});

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
