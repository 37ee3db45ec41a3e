/**
 * A thread of an engine process that ends it with the service also while its other thread is in a call that does not return and so
 * does not hear that its channel has closed. On Linux the kernel sees to that (processes/launch.ts).
 */
import { workerData } from "node:worker_threads";

/** After the time in which a process that hears it ends by itself, so that no GPU is left in the middle of a command. */
const graceMs = 5_000;
const lookEveryMs = 1_000;

/** As the process had it when it began: this thread may start when the service is gone already. */
const { parent } = workerData as { readonly parent: number };
const look = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(look);
  setTimeout(() => process.kill(process.pid, "SIGKILL"), graceMs);
}, lookEveryMs);
