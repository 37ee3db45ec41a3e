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
  const first = await liveOnce("in a prefill");
  const second = await liveOnce("after an answer");
  const figures = {
    firstEnd: first.how,
    firstReadyMs: first.readyMs,
    secondEnd: second.how,
    secondReadyMs: second.readyMs,
  };
  const isWell = first.how === "signal SIGKILL" && second.hasAnswered && second.how === "exit code 0";
  return {
    name: "an engine that is killed in a prefill, and the next one",
    status: isWell ? "passed" : "failed",
    ...(!isWell && { detail: "the first did not end by its kill, or the next one did not answer and end" }),
    figures,
  };
};

/** Starts an engine process, gives it a long prompt, and kills it while it computes that, or has it end when it has answered. */
const liveOnce = (end: "in a prefill" | "after an answer") =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const startedAt = performance.now();
        const ready = yield* Deferred.make<void>();
        const answered = yield* Deferred.make<boolean>();
        const ended = yield* Deferred.make<ProcessEnd>();
        const worker = yield* spawnWorker(engineEnvironment(), {
          onMessage: (message) => {
            if (message.type === "ready") Deferred.doneUnsafe(ready, Exit.void);
            if (message.type === "step" && message.events.some(({ type }) => type === "finished")) {
              Deferred.doneUnsafe(answered, Exit.succeed(true));
            }
          },
          onExit: (how) => {
            Deferred.doneUnsafe(ended, Exit.succeed(how));
            Deferred.doneUnsafe(answered, Exit.succeed(false));
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
        if (end === "in a prefill") {
          yield* Effect.sleep("20 millis");
          if (worker.pid !== undefined) process.kill(worker.pid, "SIGKILL");
        }
        const hasAnswered = yield* Deferred.await(answered);
        worker.end();
        const { how } = yield* Deferred.await(ended);
        return { how, readyMs, hasAnswered };
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
