/**
 * A thread in each lane that ends the process when a job exceeds its limits. The thread that computes cannot be
 * interrupted, and code from untrusted input cannot be relied on to check a clock.
 */
import { writeSync } from "node:fs";
import { workerData } from "node:worker_threads";

import { type LaneLimits, limitSignals, signsOfLife } from "../protocol.ts";

/** @param phases see phases.ts */
export interface WatchdogData {
  readonly limits: LaneLimits;
  readonly phases: Int32Array;
  /** Process id of the service when the lane started. */
  readonly parent: number;
}

const { limits, phases, parent } = workerData as WatchdogData;
const lookEveryMs = 20;

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};

/** A main thread that is busy does not notice that the service has gone, so the watchdog checks. */
const endWithService = (): void => {
  if (process.ppid !== parent) process.kill(process.pid, "SIGKILL");
};

const giveSign = (): void => {
  try {
    writeSync(signsOfLife.descriptor, ".");
  } catch {
    // The service has gone or does not read the pipe; it finds out about either by itself.
  }
};

giveSign();
for (;;) {
  const phase = Atomics.load(phases, 0);
  if (phase === 0) {
    Atomics.wait(phases, 0, 0);
    continue;
  }
  const times = Atomics.load(phases, 1);
  const cpuBefore = cpuMs();
  const memoryBefore = process.memoryUsage.rss();
  let signAt = performance.now();
  while (Atomics.load(phases, 0) === phase) {
    if (performance.now() >= signAt) {
      giveSign();
      endWithService();
      signAt = performance.now() + signsOfLife.everyMs;
    }
    if (cpuMs() - cpuBefore > times * limits.timeLimitMs) process.kill(process.pid, limitSignals["time-limit"]);
    if (process.memoryUsage.rss() - memoryBefore > times * limits.memoryBytes) {
      process.kill(process.pid, limitSignals["memory-limit"]);
    }
    Atomics.wait(phases, 0, phase, lookEveryMs);
  }
}
