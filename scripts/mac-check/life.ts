/** What ends an engine process, and what does not. */
import { join } from "node:path";
import { Deferred, Effect, Exit } from "effect";

import { engineEnvironment } from "../../src/service/config/EngineConfig.ts";
import type { ProcessEnd } from "../../src/service/engine/mlx/last-words.ts";
import { Watchdog } from "../../src/service/engine/mlx/Watchdog.ts";
import { spawnWorker } from "../../src/service/engine/mlx/WorkerProcess.ts";
import { greedySubmission } from "../greedy-submission.ts";
import { inChild } from "./child.ts";
import type { Check, Section } from "./section.ts";

const directory = join(import.meta.dirname, "../../models/demo");

export const life: Section = {
  name: "life",
  run: async () => [await killed(), await oversized(), sleep()],
};

/** A process that is killed while it computes leaves a machine on which the next one starts. */
const killed = async (): Promise<Check> => {
  const first = await liveOnce("SIGKILL");
  const second = await liveOnce(undefined);
  const figures = {
    firstEnd: first.how,
    firstReadyMs: first.readyMs,
    secondEnd: second.how,
    secondReadyMs: second.readyMs,
  };
  const isWell = first.how === "signal SIGKILL" && second.how === "exit code 0";
  return {
    name: "an engine that is killed in a prefill, and the next one",
    status: isWell ? "passed" : "failed",
    ...(!isWell && { detail: "the processes did not end as they should" }),
    figures,
  };
};

/** Starts an engine process, gives it a long prompt, and ends it in one way or the other. */
const liveOnce = (signal: "SIGKILL" | undefined) =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const startedAt = performance.now();
        const ready = yield* Deferred.make<void>();
        const ended = yield* Deferred.make<ProcessEnd>();
        const worker = yield* spawnWorker(engineEnvironment(), {
          onMessage: ({ type }) => {
            if (type === "ready") Deferred.doneUnsafe(ready, Exit.void);
          },
          onExit: (end) => {
            Deferred.doneUnsafe(ended, Exit.succeed(end));
            Deferred.doneUnsafe(ready, Exit.void);
          },
        });
        const gibibyte = 1024 ** 3;
        worker.send({
          type: "load",
          directory,
          weights: "auto",
          limits: { maxBatch: 4, prefillSliceTokens: 256, kvCacheBytes: gibibyte, prefixCacheBytes: 0, maxAdapters: 0 },
          reservedBytes: 2 * gibibyte,
          takesTurns: false,
          speculation: "off",
        });
        yield* Deferred.await(ready);
        const readyMs = Math.round(performance.now() - startedAt);
        worker.send(
          greedySubmission(
            1,
            Array.from({ length: 2_000 }, (_, place) => place % 1_000),
            8,
          ),
        );
        yield* Effect.sleep("20 millis");
        if (signal === undefined) worker.end();
        else if (worker.pid !== undefined) process.kill(worker.pid, signal);
        const { how } = yield* Deferred.await(ended);
        return { how, readyMs };
      }),
    ),
  );

/** Either an error, or the end of the process that says why. */
const oversized = async (): Promise<Check> => {
  const name = "an array that no buffer can hold";
  const answer = await inChild("oversizedBuffer", {});
  const told = answer.type === "value" ? answer.value : answer.problem;
  return told === "it was computed"
    ? { name, status: "failed", detail: "it was computed" }
    : { name, status: "passed", figures: { told } };
};

/** The lid was closed for two minutes: no engine is late for that. */
const sleep = (): Check => {
  let now = 0;
  const watchdog = new Watchdog(() => now, 2_000);
  watchdog.reset();
  watchdog.given(1);
  watchdog.admitted(1);
  now = 120_000;
  watchdog.tick();
  return watchdog.stalledMs <= 2_000
    ? { name: "a sleep is not a stall", status: "passed" }
    : {
        name: "a sleep is not a stall",
        status: "failed",
        detail: `it counts as ${watchdog.stalledMs} ms without progress`,
      };
};
