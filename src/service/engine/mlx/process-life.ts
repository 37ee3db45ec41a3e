/** One engine process from its start to its death. */
import { Deferred, Effect, Exit, Result, type Scope } from "effect";

import type { EngineSettings } from "../../config/EngineConfig.ts";
import type { ModelChanged } from "../../domain/errors.ts";
import type { FromWorker, StepMessage } from "../../worker/protocol/from-worker.ts";
import type { LoadMessage } from "../../worker/protocol/to-worker.ts";
import type { ProcessEnd } from "./last-words.ts";
import type { LifePhase } from "../restart-history.ts";
import type { SpawnWorker, WorkerProcess } from "./WorkerProcess.ts";

/** How a process ended, and in which phase. */
export interface ProcessDeath extends ProcessEnd {
  readonly phase: LifePhase;
  /** Set if the checkpoint has changed: no process may serve it as this model any more. */
  readonly changed?: ModelChanged;
}

interface ProcessPlan {
  readonly spawn: SpawnWorker;
  readonly settings: EngineSettings;
  readonly load: LoadMessage;
  /** Fails if the files are no longer those of the model. */
  readonly unchanged: Effect.Effect<void, ModelChanged>;
}

type ReadyMessage = Extract<FromWorker, { type: "ready" }>;
type PrefixesClearedMessage = Extract<FromWorker, { type: "prefixes-cleared" }>;

interface ProcessListener {
  /** Called for every message of the process. */
  readonly onSign: () => void;
  readonly onReady: (message: ReadyMessage) => void;
  readonly onStep: (message: StepMessage) => void;
  readonly onPrefixesCleared: (message: PrefixesClearedMessage) => void;
  /** The process runs and was told what to load. */
  readonly onStarted: (worker: WorkerProcess) => void;
  /** The process has stopped computing, as it was told to. */
  readonly onStopped: () => void;
  /** The process is ready and its files were verified: from now on it may be given requests. */
  readonly serve: (worker: WorkerProcess) => Effect.Effect<unknown>;
}

/** Completes when the process ends. The scope owns it: closing the scope ends it. */
export const liveProcess = Effect.fnUntraced(function* (
  { spawn, settings, load, unchanged }: ProcessPlan,
  { onSign, onReady, onStep, onPrefixesCleared, onStarted, onStopped, serve }: ProcessListener,
): Effect.fn.Return<ProcessDeath, never, Scope.Scope> {
  const death = yield* Deferred.make<ProcessDeath>();
  const ready = yield* Deferred.make<void>();
  const die = (how: ProcessDeath): void => void Deferred.doneUnsafe(death, Exit.succeed(how));
  let phase: LifePhase = "loading";
  const worker = yield* spawn(settings.environment, {
    onMessage: (message) => {
      onSign();
      switch (message.type) {
        case "ready":
          phase = "serving";
          // First, because whoever waits for the process continues immediately.
          onReady(message);
          Deferred.doneUnsafe(ready, Exit.void);
          break;
        case "step":
          onStep(message);
          break;
        case "prefixes-cleared":
          onPrefixesCleared(message);
          break;
        case "stopped":
          onStopped();
          break;
        case "pong":
          break;
        case "load-failed":
          die(
            message.kind === "memory"
              ? { phase: "loading", how: message.reason, cause: "memory" }
              : { phase: "refusing", how: message.reason, cause: undefined },
          );
          break;
        case "crash":
          die({ phase, how: message.reason, cause: undefined });
          break;
      }
    },
    onExit: ({ how, cause, ...told }) =>
      die({
        ...told,
        phase,
        how: phase === "loading" && cause !== "no-mlx" ? `the engine ended with ${how} while loading` : how,
        cause,
      }),
  });
  // While the process starts.
  const before = yield* Effect.result(unchanged);
  if (Result.isFailure(before)) return deathOfChange(before.failure);
  worker.send(load);
  onStarted(worker);
  const { loadTimeoutMs } = settings;
  const tooLate = (): void => die({ phase, how: `loading took more than ${loadTimeoutMs} ms`, cause: undefined });
  const loaded = Deferred.await(ready).pipe(
    Effect.timeoutOrElse({ duration: loadTimeoutMs, orElse: () => Effect.sync(tooLate) }),
    // If the files are unchanged before and after loading, the process has loaded these files.
    Effect.andThen(unchanged),
    Effect.andThen(Effect.suspend(() => (phase === "serving" ? serve(worker) : Effect.void))),
    Effect.catch((error) => Effect.sync(() => die(deathOfChange(error)))),
  );
  yield* Effect.race(Deferred.await(death), Effect.andThen(loaded, Effect.never));
  return yield* Deferred.await(death);
});

const deathOfChange = (changed: ModelChanged): ProcessDeath => ({
  phase: "loading",
  how: "its files have changed",
  cause: undefined,
  changed,
});
