/**
 * Runs another program's server for one model. It is ready when it has answered, restarted with growing pauses when it
 * ends or stops answering, and given up when it cannot be started.
 */
import { Clock, Deferred, Effect, Option, type Scope, Stream, SubscriptionRef } from "effect";
import type { Dispatcher } from "undici";

import { elapsedMsUnsafe } from "../../domain/elapsed.ts";
import { EngineRestarting, EngineStartFailed, EngineUnavailable } from "../../domain/errors.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { EngineFault } from "../engine-failures.ts";
import type { EngineHealth } from "../EngineStatus.ts";
import type { StartStage } from "../Engines.ts";
import { RestartHistory } from "../restart-history.ts";
import { liveServer, type ManagedBackend, type RunningServer, type ServerDeath } from "./server-life.ts";

export interface ManagedServer {
  /** Waits while the server is being restarted. Fails if it is given up or keeps ending. */
  readonly running: Effect.Effect<RunningServer, EngineFault | EngineRestarting>;
  readonly health: Stream.Stream<EngineHealth>;
  /** Succeeds when the server is given up. */
  readonly failure: Effect.Effect<EngineFault>;
  readonly restarts: () => number;
  /** The resident memory of all its processes, as last measured. */
  readonly residentBytes: () => number;
  /** To be called when output of an answer has arrived, which shows that the server works. */
  readonly delivered: () => void;
}

type State =
  | { readonly type: "starting" }
  | { readonly type: "serving"; readonly server: RunningServer }
  /** Callers no longer wait for a restart. */
  | { readonly type: "refusing"; readonly error: EngineFault | EngineRestarting };

/**
 * Completes when the server has answered. The scope owns it: closing the scope ends its processes.
 *
 * @param connections opened for each process
 */
export const startManagedServer = Effect.fn("ManagedServer.start")(function* (
  model: ServedModel,
  backend: ManagedBackend,
  connections: Effect.Effect<Dispatcher, never, Scope.Scope>,
  onStage: (stage: StartStage) => Effect.Effect<void>,
): Effect.fn.Return<ManagedServer, EngineFault, Scope.Scope> {
  const clock = yield* Clock.Clock;
  const now = (): number => elapsedMsUnsafe(clock);
  const history = new RestartHistory();
  const state = yield* SubscriptionRef.make<State>({ type: "starting" });
  const health = yield* SubscriptionRef.make<EngineHealth>("restarting");
  const firstReady = yield* Deferred.make<void>();
  const givenUp = yield* Deferred.make<EngineFault>();
  let residentBytes = 0;
  const hasServed = (): boolean => Deferred.isDoneUnsafe(firstReady);

  const live = liveServer(model, backend, connections, {
    onStage: (stage) => (hasServed() ? Effect.void : onStage(stage)),
    onServing: Effect.fnUntraced(function* (server) {
      history.becameReady(now());
      yield* SubscriptionRef.set(state, { type: "serving", server });
      yield* SubscriptionRef.set(health, "serving");
      yield* Deferred.succeed(firstReady, undefined);
    }),
    onOver: SubscriptionRef.set(state, { type: "starting" }),
    onMeasured: (bytes) => (residentBytes = bytes),
  });

  /**
   * Why the server is given up; undefined if it is restarted. If the first start fails, the caller that loads the model
   * decides; later, the number of failed starts does.
   */
  const faultOf = ({ how, cause }: ServerDeath): EngineFault | undefined => {
    if (cause === "missing") return new EngineUnavailable({ model: model.id, engine: backend.engine, cause: how });
    if (history.cannotStart || (!hasServed() && cause !== "port")) {
      const told = `its server "${backend.name}": ${how}`;
      return new EngineStartFailed({ model: model.id, cause: told, retryAfterMs: retryStartAfterMs });
    }
    return undefined;
  };

  const supervise = Effect.gen(function* () {
    for (;;) {
      const death = yield* Effect.scoped(live);
      residentBytes = 0;
      history.died(death.phase, false, now());
      const fault = faultOf(death);
      if (fault !== undefined) {
        yield* SubscriptionRef.set(state, { type: "refusing", error: fault });
        yield* Deferred.succeed(givenUp, fault);
        return;
      }
      history.restarts += 1;
      const error = new EngineRestarting({ model: model.id, retryAfterMs: history.pauseMs });
      yield* SubscriptionRef.set(
        state,
        history.failsAgainAndAgain ? { type: "refusing", error } : { type: "starting" },
      );
      yield* SubscriptionRef.set(health, "restarting");
      yield* Effect.sleep(history.pauseMs);
    }
  });

  const settled = SubscriptionRef.changes(state).pipe(
    Stream.filter((now) => now.type !== "starting"),
    Stream.runHead,
    Effect.map(Option.getOrThrow),
  );
  yield* Effect.forkScoped(supervise);
  yield* Effect.raceFirst(Deferred.await(firstReady), Effect.flip(Deferred.await(givenUp)));
  return {
    running: Effect.flatMap(settled, (now) =>
      now.type === "serving" ? Effect.succeed(now.server) : Effect.fail(now.error),
    ),
    health: SubscriptionRef.changes(health),
    failure: Deferred.await(givenUp),
    restarts: () => history.restarts,
    residentBytes: () => residentBytes,
    delivered: () => history.delivered(),
  };
});

/** The retry delay for a failed start that may succeed later. */
const retryStartAfterMs = 5_000;
