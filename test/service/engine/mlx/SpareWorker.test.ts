/** Engine processes that are started before their model is known. */
import { setTimeout as sleep } from "node:timers/promises";
import { assert, describe, it } from "@effect/vitest";
import { Deferred, Effect, Exit, Scope } from "effect";

import { engineEnvironment } from "../../../../src/service/config/EngineConfig.ts";
import type { ProcessEnd } from "../../../../src/service/engine/mlx/last-words.ts";
import { SpareWorker } from "../../../../src/service/engine/mlx/SpareWorker.ts";
import { engineProcesses } from "../../../support/engine-processes.ts";

const environment = engineEnvironment();

describe("a process that was started before its model was known", () => {
  it.live("is the one that an engine gets, and the next engine gets another", () =>
    Effect.gen(function* () {
      const spare = new SpareWorker(environment);
      yield* spare.prepare;
      yield* spare.prepare;
      const [ready, ...more] = engineProcesses();
      assert.isDefined(ready);
      assert.deepStrictEqual(more, []);
      const pongs = yield* Deferred.make<void>();
      const first = yield* spare.spawn(environment, {
        onMessage: ({ type }) => type === "pong" && Deferred.doneUnsafe(pongs, Exit.void),
        onExit: () => {},
      });
      assert.strictEqual(first.pid, ready);
      first.send({ type: "ping" });
      yield* Deferred.await(pongs);
      const second = yield* spare.spawn(environment, silent);
      assert.notStrictEqual(second.pid, ready);
    }).pipe(Effect.scoped),
  );

  it.live("ends with the load that it was for, if that takes none", () =>
    Effect.gen(function* () {
      const spare = new SpareWorker(environment);
      const scope = yield* Scope.make();
      yield* Scope.provide(spare.prepare, scope);
      const [ready = 0] = engineProcesses();
      assert.isAbove(ready, 0);
      yield* Scope.close(scope, Exit.void);
      assert.deepStrictEqual(engineProcesses(), []);
    }),
  );

  it.live("stays with the engine that took it when the load that it was for ends", () =>
    Effect.gen(function* () {
      const spare = new SpareWorker(environment);
      const load = yield* Scope.make();
      yield* Scope.provide(spare.prepare, load);
      const ended = yield* Deferred.make<ProcessEnd>();
      const engine = yield* Scope.make();
      const worker = yield* Scope.provide(
        spare.spawn(environment, {
          onMessage: () => {},
          onExit: (end) => void Deferred.doneUnsafe(ended, Exit.succeed(end)),
        }),
        engine,
      );
      yield* Scope.close(load, Exit.void);
      assert.deepStrictEqual<unknown>(engineProcesses(), [worker.pid]);
      yield* Scope.close(engine, Exit.void);
      assert.strictEqual((yield* Deferred.await(ended)).how, "exit code 0");
    }),
  );

  it.live("that has died is nobody's", () =>
    Effect.gen(function* () {
      const spare = new SpareWorker(environment);
      yield* spare.prepare;
      const [ready = 0] = engineProcesses();
      process.kill(ready, "SIGKILL");
      yield* Effect.promise(() => gone(ready));
      const worker = yield* spare.spawn(environment, silent);
      assert.deepStrictEqual<unknown>(engineProcesses(), [worker.pid]);
    }).pipe(Effect.scoped),
  );
});

const silent = { onMessage: () => {}, onExit: () => {} };

/** Until the process has ended and Node, its parent, has been told. */
const gone = async (pid: number): Promise<void> => {
  try {
    for (;;) {
      process.kill(pid, 0);
      await sleep(20);
    }
  } catch {
    // There is no such process any more.
  }
};
