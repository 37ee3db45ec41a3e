/** Loaded by `--import` into a process that tests start: it ends when whoever started it is gone, however that happened. */
import process from "node:process";

/** From the first signal on the service finishes what runs; nobody is there any more to wait for that. */
const graceMs = 2000;

process.once("disconnect", () => {
  process.kill(process.pid, "SIGTERM");
  setTimeout(() => process.kill(process.pid, "SIGKILL"), graceMs).unref();
});
// The channel alone keeps no process alive.
process.channel?.unref();
