/** An engine process and how it ends, with the real worker. */
import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Scope } from "effect";

import { engineEnvironment } from "../../../../src/service/config/EngineConfig.ts";
import type { ProcessEnd } from "../../../../src/service/engine/mlx/last-words.ts";
import { spawnWorker } from "../../../../src/service/engine/mlx/WorkerProcess.ts";
import type { FromWorker } from "../../../../src/service/worker/protocol/from-worker.ts";
import { writeRandomCheckpoint } from "../../worker/random-checkpoint.ts";
import { greedySubmission } from "../../../../scripts/greedy-submission.ts";
import { garbageFirst } from "../../../support/garbage-channel.ts";
import { neutralSampling } from "../../../../src/service/worker/protocol/submit-message.ts";

const directory = writeRandomCheckpoint({
  modelType: "qwen2",
  hiddenSize: 32,
  layers: 2,
  heads: 4,
  kvHeads: 2,
  vocabularySize: 256,
});

const limits = {
  maxBatch: 4,
  prefillSliceTokens: 64,
  kvCacheBytes: 64 * 1024 ** 2,
  prefixCacheBytes: 0,
  maxAdapters: 1,
};

const longRun = greedySubmission(1, [1, 2, 3], 3_000, { sampling: { ...neutralSampling, seed: 1 } });

/** A process with the model loaded, in a scope of its own; its end, and the scope's. */
const startWorker = Effect.gen(function* () {
  const scope = yield* Scope.make();
  const ended = yield* Deferred.make<ProcessEnd>();
  const ready = yield* Deferred.make<void>();
  const computing = yield* Deferred.make<void>();
  const worker = yield* Scope.provide(
    spawnWorker(engineEnvironment(), {
      onMessage: (message: FromWorker) => {
        if (message.type === "ready") Deferred.doneUnsafe(ready, Exit.void);
        if (message.type === "step" && message.events.some(({ type }) => type === "token")) {
          Deferred.doneUnsafe(computing, Exit.void);
        }
      },
      onExit: (end) => void Deferred.doneUnsafe(ended, Exit.succeed(end)),
    }),
    scope,
  );
  worker.send({
    type: "load",
    directory,
    limits,
    reservedBytes: 1024 ** 3,
    takesTurns: false,
    weights: "auto",
    speculation: "off",
  });
  yield* Deferred.await(ready);
  return {
    worker,
    computing: Deferred.await(computing),
    close: Scope.close(scope, Exit.void),
    ended: Deferred.await(ended),
  };
});

describe("an engine process", () => {
  it.live("ends by itself when its scope does", () =>
    Effect.gen(function* () {
      const { close, ended } = yield* startWorker;
      yield* close;
      assert.strictEqual((yield* ended).how, "exit code 0");
    }),
  );

  it.live("ends by itself when it is asked to, also while it computes", () =>
    Effect.gen(function* () {
      const { worker, computing, ended, close } = yield* startWorker;
      worker.send(longRun);
      yield* computing;
      worker.end();
      assert.strictEqual((yield* ended).how, "exit code 0");
      yield* close;
    }),
  );

  it.live("is killed when it does not go", () =>
    Effect.gen(function* () {
      const { worker, close, ended } = yield* startWorker;
      assert.isDefined(worker.pid);
      process.kill(worker.pid ?? 0, "SIGSTOP");
      yield* close;
      assert.strictEqual((yield* ended).how, "signal SIGKILL");
    }),
  );

  it.live("that writes what is no message ends, and nothing else does", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<ProcessEnd>();
      yield* spawnWorker(
        { ...engineEnvironment(), ...garbageFirst },
        { onMessage: () => {}, onExit: (end) => void Deferred.doneUnsafe(ended, Exit.succeed(end)) },
      );
      assert.match((yield* Deferred.await(ended)).how, /^what is no message: .*, over its channel$/);
    }).pipe(Effect.scoped),
  );
});
