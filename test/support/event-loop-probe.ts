/**
 * Loaded into the service by `--import`: on SIGUSR2 it writes how long its event loop has been kept since the signal
 * before, at the longest, to the file that MLXD_TEST_EVENT_LOOP names. Milliseconds: by the clock, and of these the
 * thread's own work, which does not grow with what else the machine does.
 */
import { writeFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface LoopDelay {
  readonly byClock: number;
  readonly ownWork: number;
}

const file = process.env["MLXD_TEST_EVENT_LOOP"];
// Engine processes have the same environment.
if (file !== undefined && process.argv[1]?.endsWith("service/main.ts") === true) {
  const delay = monitorEventLoopDelay({ resolution: 10 });
  delay.enable();
  const cpuMs = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let before = cpuMs();
  let ownWork = 0;
  setInterval(() => {
    const now = cpuMs();
    ownWork = Math.max(ownWork, now - before);
    before = now;
  }, 10);
  process.on("SIGUSR2", () => {
    writeFileSync(file, JSON.stringify({ byClock: delay.max / 1e6, ownWork } satisfies LoopDelay));
    delay.reset();
    ownWork = 0;
  });
}
