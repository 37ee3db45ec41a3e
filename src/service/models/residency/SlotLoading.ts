/** Loads a model, and handles the failure of its load or its engine. */
import { Cause, Effect, Exit, Fiber, Result, Scope, Stream } from "effect";

import { type LoadFailure, ModelBroken } from "../../domain/errors.ts";
import type { AnyEngine } from "../../engine/Engine.ts";
import type { EngineFault } from "../../engine/engine-failures.ts";
import { takenBytes } from "../../engine/EngineStatus.ts";
import { LoadedEngine } from "./LoadedEngine.ts";
import type { ModelFault, LoadingPhase } from "./model-phase.ts";
import type { SlotState } from "./SlotState.ts";
import type { SlotUnloading } from "./SlotUnloading.ts";

export class SlotLoading {
  /** Tasks that have used the engine since it was loaded. */
  uses = 0;
  private readonly state: SlotState;
  private readonly unloading: SlotUnloading;
  /** Consecutive failures of loads and engines. */
  private failures = 0;

  constructor(state: SlotState, unloading: SlotUnloading) {
    this.state = state;
    this.unloading = unloading;
  }

  /** Starts a load. Returns an Effect that ends with it; it may have ended already. */
  begin(revives = false): Effect.Effect<void, LoadFailure> {
    const loading: LoadingPhase = { state: "loading", fiber: undefined, revives };
    this.state.apply({ type: "load", loading });
    const { phaseEnd } = this.state;
    loading.fiber = this.state.options.run(this.load(loading));
    return phaseEnd;
  }

  /** Cancels the load. Those who wait for it keep waiting, and the model is loaded again. */
  cancel(why: "unload" | "cancelled"): void {
    const { phase, options } = this.state;
    if (phase.state !== "loading" || !this.state.apply({ type: "cancel-load", why })) return;
    if (phase.fiber !== undefined) options.run(Fiber.interrupt(phase.fiber));
  }

  private load(loading: LoadingPhase): Effect.Effect<void> {
    const { options } = this.state;
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function* () {
        const scope = yield* Scope.fork(options.scope);
        const exit = yield* Effect.exit(restore(Scope.provide(options.start, scope)));
        if (Exit.isSuccess(exit) && this.state.phase === loading) yield* this.succeed(loading, scope, exit.value);
        else {
          // Closed before the failure is reported, so that the process is gone and its memory free by then.
          yield* Scope.close(scope, exit);
          yield* this.endWithout(loading, exit);
        }
      }),
    );
  }

  private succeed(loading: LoadingPhase, scope: Scope.Closeable, engine: AnyEngine): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { state } = this;
      state.options.onLoaded("loaded");
      this.failures = 0;
      this.uses = 0;
      if (state.users.lastUsedAt === undefined) state.users.touch();
      const loaded = new LoadedEngine(engine, scope, state.now);
      state.apply({ type: "loaded", loading, loaded });
      yield* Effect.forkIn(this.follow(loaded), scope);
      this.unloading.leaveIfRetired();
      yield* Effect.annotateLogs(Effect.logInfo("model loaded"), { model: state.id });
    });
  }

  /** Ends a load that failed or was cancelled. */
  private endWithout(loading: LoadingPhase, exit: Exit.Exit<AnyEngine, LoadFailure>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const { state } = this;
      const told = Exit.asVoid(exit);
      // It was cancelled, and those who waited know; or the service shuts down.
      if (state.phase !== loading || Exit.isSuccess(exit)) return void state.apply({ type: "released" });
      if (Cause.hasInterrupts(exit.cause)) return void state.apply({ type: "released" }, told);
      const found = Cause.findError(exit.cause);
      const error = Result.isSuccess(found)
        ? found.success
        : new ModelBroken({ model: state.id, cause: "its start failed in an unforeseen way" });
      if (error._tag === "ModelChanged") return this.putAside(told);
      yield* Effect.annotateLogs(Effect.logError("model failed to load", exit.cause), { model: state.id });
      // A lack of memory is no failure of the model.
      if (!isFailing(error)) return void state.apply({ type: "released" }, told);
      state.options.onLoaded("failed");
      this.fail(error, loading.revives, told);
    });
  }

  /** Follows the engine's health, memory and failure until its scope closes. */
  private follow(loaded: LoadedEngine): Effect.Effect<void> {
    const { engine } = loaded;
    const { options } = this.state;
    const health = Stream.runForEach(engine.health, (now) =>
      Effect.sync(() => {
        if (loaded.health === now) return;
        loaded.health = now;
        options.onChange();
      }),
    );
    const memory = engine.status.pipe(
      Effect.map((status) => options.onMeasured(takenBytes(status))),
      Effect.andThen(Effect.sleep(measureMs)),
      Effect.forever,
    );
    const end = Effect.flatMap(engine.failure, (fault) => Effect.sync(() => this.lose(loaded, fault)));
    return Effect.asVoid(Effect.all([health, memory, end], { concurrency: "unbounded" }));
  }

  /** Its engine was given up. The engine itself fails the requests that run. */
  private lose(loaded: LoadedEngine, fault: EngineFault): void {
    const { state } = this;
    if (!state.apply({ type: "lost", loaded })) return;
    state.options.onLeft("failure");
    const isChanged = fault._tag === "ModelChanged";
    const told = isChanged ? Effect.logWarning("model put aside") : Effect.logError("model failed");
    state.options.run(
      Effect.andThen(
        loaded.close(() => (isChanged ? this.putAside() : this.fail(fault, true))),
        Effect.annotateLogs(told, { model: state.id, cause: fault.message }),
      ),
    );
  }

  /**
   * @param wasInUse whether to try again without a request for it: a load balancer sends none to an unhealthy model
   * @param exit the result for those who wait for the load
   */
  private fail(error: ModelFault, wasInUse: boolean, exit: Exit.Exit<void, LoadFailure> = Exit.fail(error)): void {
    const { state } = this;
    const pauseMs = Math.min(longestRetryMs, retryFailedAfterMs * 2 ** this.failures);
    this.failures += 1;
    state.apply({ type: "failed", error, retryAt: state.now.elapsed + pauseMs }, exit);
    const failed = state.phase;
    if (!wasInUse || state.retired) return;
    const revive = (): Effect.Effect<void> => {
      if (state.phase !== failed) return Effect.void;
      if (state.options.fits()) return Effect.sync(() => void this.begin(true));
      return Effect.andThen(Effect.sleep(pauseMs), Effect.suspend(revive));
    };
    state.options.run(Effect.andThen(Effect.sleep(pauseMs), Effect.suspend(revive)));
  }

  /** Its files have changed: the owner of this slot makes another slot of the new files. */
  private putAside(exit: Exit.Exit<void, LoadFailure> = Exit.void): void {
    this.state.apply({ type: "released" }, exit);
    this.state.options.onFilesChanged();
  }
}

/** Long enough that many callers do not start a broken model over and over. Doubles with each consecutive failure. */
const retryFailedAfterMs = 5_000;
const longestRetryMs = 300_000;

/** How often the process's memory is measured. */
const measureMs = 1_000;

/** Whether the fault is the model's or its engine's, and not a lack of room beside others. */
const isFailing = (error: LoadFailure): error is ModelFault =>
  error._tag === "ModelBroken" ||
  error._tag === "ModelNotDownloaded" ||
  error._tag === "ModelFilesMissing" ||
  error._tag === "EngineStartFailed" ||
  error._tag === "EngineUnavailable" ||
  error._tag === "OutOfMemory";
