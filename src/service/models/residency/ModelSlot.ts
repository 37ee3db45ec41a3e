/** One model's life in memory: loaded by whoever comes first, kept while it is used, and let go as a whole. */
import { Cause, type Clock, Deferred, Effect, Exit, Fiber, Result, Scope, Stream } from "effect";

import {
  type FilesUnusable,
  type LoadFailure,
  type MemoryBudgetExceeded,
  ModelBroken,
  ModelOperationConflict,
} from "../../domain/errors.ts";
import type { ModelCondition, ModelFacts, ModelState } from "../../domain/model.ts";
import type { Engine, EngineFault } from "../../engine/Engine.ts";
import { IdleWatch } from "./IdleWatch.ts";
import type { Departure, Keeping, Unloaded, UnloadOptions } from "../memory/keeping.ts";
import { LoadedEngine } from "./LoadedEngine.ts";
import {
  type Failing,
  isResident,
  loadedIn,
  type LoadingPhase,
  type Phase,
  reasonOf,
  stateOf,
  useOf,
} from "./model-phase.ts";
import { ModelUsers, type Place } from "./ModelUsers.ts";
import type { Resident } from "../memory/plan-room.ts";
import type { Tenant } from "../memory/Reservations.ts";

export interface ModelSlotOptions {
  readonly facts: ModelFacts;
  /** Why it can never be loaded; undefined when it can. */
  readonly refusal: FilesUnusable | undefined;
  readonly keeping: Keeping;
  /** Takes its part of the memory, then starts the engine. */
  readonly start: Effect.Effect<Engine, LoadFailure, Scope.Scope>;
  /** Called each second with what its process takes. */
  readonly onMeasured: (residentBytes: number) => void;
  /** Why it may not begin more, though it is loaded; undefined: it may. */
  readonly overdraft: () => MemoryBudgetExceeded | undefined;
  /** Whether it would fit now, without another one's leaving. */
  readonly fits: () => boolean;
  /** Holds the engines. */
  readonly scope: Scope.Scope;
  /** Runs what goes on when the one who began it has left. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>;
  readonly clock: Clock.Clock;
  /** Called after each change of state. */
  readonly onChange: () => void;
  /** Called when nobody uses it any more, or it may be evicted again. */
  readonly onIdle: () => void;
  readonly onLoaded: (exit: "loaded" | "failed") => void;
  readonly onLeft: (why: Departure) => void;
  /** Called when its files are others than its facts tell: it can be loaded no more. */
  readonly onFilesChanged: () => void;
}

export class ModelSlot implements Tenant {
  readonly facts: ModelFacts;
  private readonly options: ModelSlotOptions;
  private phase: Phase;
  /** Fails the load calls under way when another call ends their load. */
  private loadForced = Deferred.makeUnsafe<never, ModelOperationConflict>();
  /** Done when the phase is over; fails those who waited for it. */
  private over = Deferred.makeUnsafe<void, LoadFailure>();
  private readonly users: ModelUsers;
  private keeping: Keeping;
  private retired = false;
  /** Loads and engines in a row that failed. */
  private failures = 0;
  private downloads = 0;
  /** Since it was loaded. */
  private uses = 0;
  private readonly idleWatch: IdleWatch;

  constructor(options: ModelSlotOptions) {
    const { facts, refusal, keeping, run, clock } = options;
    this.facts = facts;
    this.options = options;
    this.keeping = keeping;
    this.phase =
      refusal === undefined ? { state: "available" } : { state: "failed", error: refusal, retryAt: Infinity };
    this.users = new ModelUsers(clock);
    this.idleWatch = new IdleWatch({
      run,
      clock,
      idleSince: () => this.idleSince,
      onExpired: () => this.leave("idle"),
    });
  }

  get id(): string {
    return this.facts.id;
  }

  get isPinned(): boolean {
    return this.keeping.pinned;
  }

  get isResident(): boolean {
    return isResident(this.phase);
  }

  get state(): ModelState {
    return stateOf(this.phase, this.downloads);
  }

  get condition(): ModelCondition {
    const loaded = loadedIn(this.phase);
    return { state: this.state, delivers: loaded === undefined || loaded.health === "serving" };
  }

  readonly status = Effect.suspend(() => {
    const { phase } = this;
    const loaded = loadedIn(phase);
    return Effect.map(
      loaded?.engine.status ?? Effect.succeed(nothingResident),
      ({ restarts, residentBytes, kvCacheBytes, prefixCacheBytes }) => ({
        facts: this.facts,
        state: this.state,
        stateReason: reasonOf(phase),
        pinned: this.keeping.pinned,
        idleTtlMs: this.keeping.idleTtlMs,
        loadedAt: loaded?.loadedAt,
        lastUsedAt: this.users.lastUsedAt,
        useCount: loaded === undefined ? 0 : this.uses,
        residentBytes,
        kvCacheBytes,
        prefixCacheBytes,
        engineRestarts: restarts,
      }),
    );
  });

  /**
   * The engine, held by the scope. The first one loads it while the others wait; when all have left before it is there,
   * the load ends. Where the model is on its way out it waits for that, and loads it anew; only one that was removed is
   * still given to those who knew it.
   */
  readonly lease: Effect.Effect<Engine, LoadFailure, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.gen({ self: this }, function* () {
      const place = this.users.wait();
      const { phase } = this;
      if (phase.state === "active" || (phase.state === "draining" && phase.why === "removal")) {
        this.users.admit(phase.loaded);
      }
      while (place.loaded === undefined) {
        const exit = yield* Effect.exit(restore(this.nextPhase));
        if (Exit.isSuccess(exit)) continue;
        this.leaveLease(place);
        return yield* Effect.failCause(exit.cause);
      }
      yield* Effect.addFinalizer(() => Effect.sync(() => this.leaveLease(place)));
      const overdraft = this.options.overdraft();
      return overdraft === undefined ? place.loaded.engine : yield* overdraft;
    }),
  );

  /** A task has the engine. */
  readonly countUse = Effect.sync(() => void (this.uses += 1));

  /** A lease for a call that loads the model: unlike a task it does not wait where another call unloads what it loads. */
  readonly loadingLease: Effect.Effect<Engine, LoadFailure, Scope.Scope> = Effect.suspend(() =>
    Effect.raceFirst(this.lease, Deferred.await(this.loadForced)),
  );

  /** A failed start may be tried again now: somebody asks for it who may have mended it. */
  forgetFailure(): void {
    if (this.phase.state === "failed" && this.phase.retryAt < Infinity) this.enter({ state: "available" });
  }

  /** Fails where a call has it unloaded. */
  assertNotUnloading(asked: "load" | "pin"): Effect.Effect<void, ModelOperationConflict> {
    return Effect.suspend(() =>
      "why" in this.phase && this.phase.why === "unload" ? Effect.fail(this.conflict(asked, "unload")) : Effect.void,
    );
  }

  /** What is left out stays as it is. */
  keep(changes: Partial<Keeping>): void {
    this.keeping = { ...this.keeping, ...changes };
    this.options.onIdle();
    this.watchIdle();
  }

  /** Shows a model that is not here as downloading until the scope closes. */
  readonly showDownload: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    const add = (count: number) =>
      Effect.sync(() => {
        this.downloads += count;
        this.options.onChange();
      });
    return Effect.acquireRelease(add(1), () => add(-1));
  });

  /**
   * Ends the engine as soon as nobody uses it. Who knew the model before may come all the same: then it is loaded once
   * more, for as long as that one uses it.
   */
  retire(): void {
    this.retired = true;
    this.keep({ pinned: false });
    this.leaveIfRetired();
  }

  /** Ends when the process has ended. Goes on when its caller leaves. */
  readonly unload = (options: UnloadOptions): Effect.Effect<Unloaded, ModelOperationConflict> =>
    Effect.suspend((): Effect.Effect<Unloaded, ModelOperationConflict> => {
      const { phase } = this;
      switch (phase.state) {
        case "available":
        case "failed":
          return Effect.succeed({ unloaded: false, freedBytes: 0 });
        case "loading":
          if (!options.force) return Effect.fail(this.conflict("unload", "load"));
          Deferred.doneUnsafe(this.loadForced, Exit.fail(this.conflict("load", "unload")));
          this.loadForced = Deferred.makeUnsafe();
          this.cancelLoad("unload");
          return Effect.as(this.departure, { unloaded: true, freedBytes: 0 });
        case "unloading":
          return Effect.as(this.departure, { unloaded: true, freedBytes: 0 });
        case "active":
        case "draining":
          return this.drain(phase.loaded, options);
      }
    });

  // What the memory budget asks of it.

  readonly residence = (): Omit<Resident, "bytes"> => ({
    use: useOf(this.phase, this.keeping.pinned, this.users.areNone),
    loadedAt: loadedIn(this.phase)?.loadedAt ?? Infinity,
    lastUsedAt: this.users.lastUsedAt ?? 0,
    priority: this.keeping.priority,
  });

  readonly isUnused = (): boolean => this.users.areNone;

  readonly makeWay = (): void => this.leave("eviction");

  readonly stay = (): void => {
    if (this.phase.state !== "draining" || this.phase.why !== "eviction") return;
    this.enter({ state: "active", loaded: this.phase.loaded });
    this.leaveIfRetired();
  };

  private get idleSince(): number | undefined {
    return this.phase.state === "active" && this.users.areNone
      ? Math.max(this.phase.loaded.loadedAt, this.users.lastUsedAt ?? 0)
      : undefined;
  }

  private enter(next: Phase, exit: Exit.Exit<void, LoadFailure> = Exit.void): void {
    const { over } = this;
    this.phase = next;
    this.over = Deferred.makeUnsafe();
    if (next.state === "active") this.users.admit(next.loaded);
    Deferred.doneUnsafe(over, exit);
    this.watchIdle();
    this.options.onChange();
  }

  private watchIdle(): void {
    const { pinned, idleTtlMs } = this.keeping;
    if (this.phase.state === "active" && !pinned && idleTtlMs > 0) this.idleWatch.begin(idleTtlMs);
    else this.idleWatch.end();
  }

  private leaveLease(place: Place): void {
    this.users.leave(place);
    if (place.loaded === undefined) {
      if (this.users.areNone) this.cancelLoad("cancelled");
      return;
    }
    this.leaveIfUnused();
    if (this.users.areNone) this.options.onIdle();
  }

  /** Brings a load on its way if there is none, and waits until the phase is over. */
  private readonly nextPhase = Effect.suspend((): Effect.Effect<void, LoadFailure> => {
    const { phase } = this;
    if (phase.state === "failed" && this.options.clock.currentTimeMillisUnsafe() < phase.retryAt) {
      return Effect.fail(phase.error);
    }
    return Deferred.await(phase.state === "available" || phase.state === "failed" ? this.beginLoad() : this.over);
  });

  /** Returns what is done when the load is over, which may be so already. */
  private beginLoad(revives = false): Deferred.Deferred<void, LoadFailure> {
    const loading: LoadingPhase = { state: "loading", fiber: undefined, revives };
    this.enter(loading);
    const { over } = this;
    loading.fiber = this.options.run(this.load(loading));
    return over;
  }

  private load(loading: LoadingPhase): Effect.Effect<void> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function* () {
        const scope = yield* Scope.fork(this.options.scope);
        const exit = yield* Effect.exit(restore(Scope.provide(this.options.start, scope)));
        yield* this.settle(loading, scope, exit);
      }),
    );
  }

  private settle(
    loading: LoadingPhase,
    scope: Scope.Closeable,
    exit: Exit.Exit<Engine, LoadFailure>,
  ): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const now = () => this.options.clock.currentTimeMillisUnsafe();
      if (Exit.isSuccess(exit) && this.phase === loading) {
        this.options.onLoaded("loaded");
        this.failures = 0;
        if (this.users.lastUsedAt === undefined) this.users.touch();
        this.uses = 0;
        const loaded = new LoadedEngine(exit.value, scope, now());
        this.enter({ state: "active", loaded });
        yield* Effect.forkIn(this.follow(loaded), scope);
        this.leaveIfRetired();
        return yield* Effect.annotateLogs(Effect.logInfo("model loaded"), { model: this.id });
      }
      // Whoever is told of a failure finds the process gone and the memory free.
      yield* Scope.close(scope, exit);
      // Cancelled, which those who waited were told; or the service ends.
      if (this.phase !== loading || Exit.isSuccess(exit)) return this.enter({ state: "available" });
      if (Cause.hasInterrupts(exit.cause)) return this.enter({ state: "available" }, Exit.asVoid(exit));
      const found = Cause.findError(exit.cause);
      const error = Result.isSuccess(found)
        ? found.success
        : broken(this.facts, "its start failed in an unforeseen way");
      if (error._tag === "ModelChanged") return this.putAside(Exit.asVoid(exit));
      yield* Effect.annotateLogs(Effect.logError("model failed to load", exit.cause), {
        model: this.id,
      });
      // That there is no room for it says nothing of the model.
      if (!isFailure(error)) return this.enter({ state: "available" }, Exit.asVoid(exit));
      this.options.onLoaded("failed");
      this.fail(error, loading.revives, Exit.asVoid(exit));
    });
  }

  /**
   * @param wasInUse then it is tried again also where nobody asks for it: who looks at its health sends nobody
   * @param exit what those who wait for it are told
   */
  private fail(error: Failing, wasInUse: boolean, exit: Exit.Exit<void, LoadFailure> = Exit.fail(error)): void {
    const pauseMs = Math.min(longestRetryMs, retryFailedAfterMs * 2 ** this.failures);
    this.failures += 1;
    const failed: Phase = { state: "failed", error, retryAt: this.options.clock.currentTimeMillisUnsafe() + pauseMs };
    this.enter(failed, exit);
    if (!wasInUse || this.retired) return;
    const revive = (): Effect.Effect<void> => {
      if (this.phase !== failed) return Effect.void;
      if (this.options.fits()) return Effect.sync(() => void this.beginLoad(true));
      return Effect.andThen(Effect.sleep(pauseMs), Effect.suspend(revive));
    };
    this.options.run(Effect.andThen(Effect.sleep(pauseMs), Effect.suspend(revive)));
  }

  /** What becomes of the engine, until its scope closes. */
  private follow(loaded: LoadedEngine): Effect.Effect<void> {
    const { engine } = loaded;
    const health = Stream.runForEach(engine.health, (now) =>
      Effect.sync(() => {
        if (loaded.health === now) return;
        loaded.health = now;
        this.options.onChange();
      }),
    );
    const memory = engine.status.pipe(
      Effect.map(({ residentBytes }) => this.options.onMeasured(residentBytes)),
      Effect.andThen(Effect.sleep(measureMs)),
      Effect.forever,
    );
    const end = Effect.flatMap(engine.failure, (fault) => Effect.sync(() => this.lose(loaded, fault)));
    return Effect.asVoid(Effect.all([health, memory, end], { concurrency: "unbounded" }));
  }

  /** Its engine was given up. Those who use it are told so by the engine itself. */
  private lose(loaded: LoadedEngine, fault: EngineFault): void {
    if (!("loaded" in this.phase) || this.phase.loaded !== loaded) return;
    this.enter({ state: "unloading", why: "failure" });
    this.options.onLeft("failure");
    const isChanged = fault._tag === "ModelChanged";
    const told = isChanged ? Effect.logWarning("model put aside") : Effect.logError("model failed");
    this.options.run(
      Effect.andThen(
        loaded.close(() => (isChanged ? this.putAside() : this.fail(fault, true))),
        Effect.annotateLogs(told, { model: this.id, cause: fault.message }),
      ),
    );
  }

  /** Its files are another model's by now: whoever owns it makes another of them. */
  private putAside(exit: Exit.Exit<void, LoadFailure> = Exit.void): void {
    this.enter({ state: "available" }, exit);
    this.options.onFilesChanged();
  }

  /** Those who wait for it wait on, and have it loaded anew. */
  private cancelLoad(why: "unload" | "cancelled"): void {
    if (this.phase.state !== "loading" || (why === "cancelled" && this.phase.revives)) return;
    const { fiber } = this.phase;
    this.enter({ state: "unloading", why });
    if (fiber !== undefined) this.options.run(Fiber.interrupt(fiber));
  }

  private drain(loaded: LoadedEngine, { drainMs, force }: UnloadOptions): Effect.Effect<Unloaded> {
    return Effect.gen({ self: this }, function* () {
      const { residentBytes } = yield* loaded.engine.status;
      const { phase } = this;
      if ("loaded" in phase && phase.loaded === loaded) {
        this.enter({ state: "draining", loaded, why: "unload" });
        if (force) this.expel(loaded);
        else if (!this.leaveIfUnused()) {
          const late = Effect.andThen(
            Effect.sleep(drainMs),
            Effect.sync(() => this.expel(loaded)),
          );
          this.options.run(Effect.raceFirst(late, loaded.gone));
        }
      }
      yield* loaded.gone;
      return { unloaded: true, freedBytes: residentBytes };
    });
  }

  /** Waits until it has gone, which it may have already. */
  private readonly departure: Effect.Effect<void> = Effect.suspend(() =>
    this.phase.state === "unloading" ? Effect.ignore(Deferred.await(this.over)) : Effect.void,
  );

  private expel(loaded: LoadedEngine): void {
    loaded.expel(this.id);
    if (this.phase.state === "draining" && this.phase.loaded === loaded) this.end(loaded, this.phase.why);
  }

  /** At once, or when those who use it have finished. */
  private leave(why: Departure): void {
    if (this.phase.state !== "active") return;
    this.enter({ state: "draining", loaded: this.phase.loaded, why });
    this.leaveIfUnused();
  }

  private leaveIfRetired(): void {
    if (this.retired) this.leave("removal");
  }

  private leaveIfUnused(): boolean {
    if (this.phase.state !== "draining" || !this.users.haveLeft) return false;
    this.end(this.phase.loaded, this.phase.why);
    return true;
  }

  private end(loaded: LoadedEngine, why: Departure): void {
    this.enter({ state: "unloading", why });
    this.options.onLeft(why);
    this.options.run(
      Effect.andThen(
        loaded.close(() => this.enter({ state: "available" })),
        Effect.annotateLogs(Effect.logInfo("model unloaded"), { model: this.id, why }),
      ),
    );
  }

  private conflict(asked: "load" | "unload" | "pin", running: "load" | "unload"): ModelOperationConflict {
    return new ModelOperationConflict({ model: this.id, asked, running });
  }
}

/** Long enough that a crowd of callers does not start a broken model over and over. Doubled with each failure in a row. */
const retryFailedAfterMs = 5_000;
const longestRetryMs = 300_000;

/** How often it is looked what the process takes. */
const measureMs = 1_000;

/** Whether it says something of the model or its engine, and not of the others in memory. */
const isFailure = (error: LoadFailure): error is Failing =>
  error._tag === "ModelBroken" ||
  error._tag === "ModelNotDownloaded" ||
  error._tag === "ModelFilesMissing" ||
  error._tag === "EngineStartFailed" ||
  error._tag === "EngineUnavailable" ||
  error._tag === "OutOfMemory";

const nothingResident = { residentBytes: 0, kvCacheBytes: 0, prefixCacheBytes: 0, restarts: 0 };

const broken = ({ id }: ModelFacts, cause: string) => new ModelBroken({ model: id, cause });
