/** The program of a lane: does one job after another, and exits with the service. */
import { Worker } from "node:worker_threads";

import type { JobMessage, LaneLimits, LaneMessage } from "../protocol.ts";
import { jobs } from "./jobs.ts";
import { beginPhase, endPhases, phases } from "./phases.ts";
import type { WatchdogData } from "./watchdog.ts";

const limits = JSON.parse(process.argv[2] ?? "") as LaneLimits;
const watchdog = new Worker(new URL("./watchdog.ts", import.meta.url), {
  workerData: { limits, phases, parent: process.ppid } satisfies WatchdogData,
});
watchdog.unref();

const send = (message: LaneMessage): void => {
  process.send?.(message);
};

/** The compiler has checked the name where the job is submitted. */
const perform = ({ name, input }: JobMessage): unknown =>
  (jobs as Readonly<Record<string, (input: never) => unknown>>)[name]?.(input as never);

process.on("message", (message: JobMessage) => {
  beginPhase();
  void (async () => {
    try {
      send({ type: "done", output: await perform(message) });
    } catch (error) {
      send({ type: "threw", message: error instanceof Error ? error.message : "an unknown error" });
    } finally {
      endPhases();
    }
  })();
});
process.once("disconnect", () => process.exit());
