/**
 * A thread of a lane that ends the process when a job takes more than it may: the thread that computes cannot be
 * interrupted, and what it computes cannot be trusted to look at a clock.
 */
import { workerData } from "node:worker_threads";

import { type LaneLimits, limitSignals } from "../protocol.ts";

/** @param running one number: that of the job that runs, or 0; the lane notifies when one begins */
export interface WatchdogData {
  readonly limits: LaneLimits;
  readonly running: Int32Array;
}

const { limits, running } = workerData as WatchdogData;
const lookEveryMs = 20;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

for (;;) {
  const job = Atomics.load(running, 0);
  if (job === 0) {
    Atomics.wait(running, 0, 0);
    continue;
  }
  const cpuBefore = cpuMs();
  const memoryBefore = process.memoryUsage.rss();
  while (Atomics.load(running, 0) === job) {
    if (cpuMs() - cpuBefore > limits.timeLimitMs) process.kill(process.pid, limitSignals["time-limit"]);
    if (process.memoryUsage.rss() - memoryBefore > limits.memoryBytes) {
      process.kill(process.pid, limitSignals["memory-limit"]);
    }
    Atomics.wait(running, 0, job, lookEveryMs);
  }
}
