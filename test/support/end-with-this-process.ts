import { type ChildProcess, spawn } from "node:child_process";

/**
 * For programs that are not Node's: ends one when this process is gone, however that happened. A shell waits for the end of a pipe that
 * only this process holds.
 */
export const endWithThisProcess = <Child extends ChildProcess>(child: Child): Child => {
  if (child.pid === undefined) return child;
  const guard = spawn("sh", ["-c", 'read -r _; kill -9 "$0"', String(child.pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    // A signal to the process group of the tests does not end it before its work.
    detached: true,
  });
  guard.unref();
  child.once("exit", () => guard.kill("SIGKILL"));
  return child;
};
