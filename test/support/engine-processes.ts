/** The engine processes that this process has started. Asked in a way that every `ps` knows, that of macOS too. */
import { execFileSync } from "node:child_process";

export const engineProcesses = (): ReadonlyArray<number> =>
  execFileSync("ps", ["-A", "-o", "pid=,ppid=,args="], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes("worker/main.ts"))
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid = 0, parent]) => (parent === process.pid ? [pid] : []));
