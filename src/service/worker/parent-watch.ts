/**
 * A thread that ends an engine process with the service even if the main thread is in a call that does not return, and
 * so does not notice that its channel has closed. On Linux the kernel does that (processes/launch.ts).
 */
import { workerData } from "node:worker_threads";

/**
 * Longer than a process takes to end by itself when it notices the closed channel, so that no GPU command is cut off.
 */
const graceMs = 5_000;
const lookEveryMs = 1_000;

/** The parent's id as the process saw it at its start, because this thread may start after the service has gone. */
const { parent } = workerData as { readonly parent: number };
const look = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(look);
  setTimeout(() => process.kill(process.pid, "SIGKILL"), graceMs);
}, lookEveryMs);
