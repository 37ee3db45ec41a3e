/** One model's life in memory: loaded by whoever comes first, kept while it is used, and let go as a whole. */
import { Cause, type Clock, Deferred, Effect, Exit, Fiber, Result, Scope } from "effect";

import {
  type EngineStartFailed,
  type FilesUnusable,
  type LoadFailure,
  ModelBroken,
  ModelOperationConflict,
} from "../domain/errors.ts";
import type { ModelFacts, ModelState } from "../domain/model.ts";
import type { Engine } from "../engine/Engine.ts";
import { IdleWatch } from "./IdleWatch.ts";
import type { Departure, Keeping, Unloaded, UnloadOptions } from "./keeping.ts";
import { LoadedEngine } from "./LoadedEngine.ts";
import type { Resident } from "./plan-room.ts";
import type { Tenant } from "./Reservations.ts";

export interface ModelSlotOptions {
  readonly facts: ModelFacts;
  /** Why it can never be loaded; undefined when it can. */
  readonly refusal: FilesUnusable | undefined;
  readonly keeping: Keeping;
  /** Takes its part of the memory, then starts the engine. */
  readonly start: Effect.Effect<Engine, LoadFailure, Scope.Scope>;
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
}

/** One who waits for the engine, or has it. */
interface Place {
  loaded: LoadedEngine | undefined;
}

type Phase =
  | { readonly state: "available" }
  | { readonly state: "loading"; fiber: Fiber.Fiber<void> | undefined }
  | { readonly state: "active"; readonly loaded: LoadedEngine }
  | { readonly state: "draining"; readonly loaded: LoadedEngine; readonly why: Departure }
  | { readonly state: "unloading"; readonly why: Departure | "cancelled" }
  /** `retryAt` in epoch milliseconds: until then a lease gets the same error. */
  | {
      readonly state: "failed";
      readonly error: FilesUnusable | EngineStartFailed;
      readonly retryAt: number;
    };

export class ModelSlot implements Tenant {
  readonly facts: ModelFacts;
  private readonly options: ModelSlotOptions;
  private phase: Phase;
  /** Done when the phase is over; fails those who waited for it. */
  private over = Deferred.makeUnsafe<void, LoadFailure>();
  private readonly waiting = new Set<Place>();
  /** Those who have the engine. */
  private holding = 0;
  private lastUsedAt: number | undefined;
  private keeping: Keeping;
  private retired = false;
  private downloads = 0;
  private readonly idleWatch: IdleWatch;

  constructor(options: ModelSlotOptions) {
    const { facts, refusal, keeping, run, clock } = options;
    this.facts = facts;
    this.options = options;
    this.keeping = keeping;
    this.phase =
      refusal === undefined ? { state: "available" } : { state: "failed", error: refusal, retryAt: Infinity };
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

  /** Loaded, loading, or on its way out. */
  get isResident(): boolean {
    return this.phase.state !== "available" && this.phase.state !== "failed";
  }

  get state(): ModelState {
    const { phase } = this;
    if (phase.state === "failed" && this.downloads > 0) return "downloading";
    // Nothing went wrong with it; nor is it on disk.
    return phase.state === "failed" && phase.error._tag === "ModelNotDownloaded" ? "not-downloaded" : phase.state;
  }

  readonly status = Effect.suspend(() => {
    const { phase } = this;
    const loaded = "loaded" in phase ? phase.loaded : undefined;
    return Effect.map(loaded?.engine.status ?? Effect.succeed(nothingResident), ({ restarts, ...memory }) => ({
      facts: this.facts,
      state: this.state,
      stateReason: phase.state === "failed" ? reasonOf(phase.error) : "",
      pinned: this.keeping.pinned,
      idleTtlMs: this.keeping.idleTtlMs,
      loadedAt: loaded?.loadedAt,
      lastUsedAt: this.lastUsedAt,
      ...memory,
      engineRestarts: restarts,
    }));
  });

  /**
   * The engine, held by the scope. The first one loads it while the others wait; when all have left before it is there,
   * the load ends. Where the model is on its way out it waits for that, and loads it anew; only one that was removed is
   * still given to those who knew it.
   */
  readonly lease: Effect.Effect<Engine, LoadFailure, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.gen({ self: this }, function* () {
      const place: Place = { loaded: undefined };
      this.waiting.add(place);
      const { phase } = this;
      if (phase.state === "active" || (phase.state === "draining" && phase.why === "removal")) this.admit(phase.loaded);
      while (place.loaded === undefined) {
        const exit = yield* Effect.exit(restore(this.nextPhase));
        if (Exit.isSuccess(exit)) continue;
        this.giveUp(place);
        return yield* Effect.failCause(exit.cause);
      }
      yield* Effect.addFinalizer(() => Effect.sync(() => this.giveBack()));
      return place.loaded.engine;
    }),
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
          this.cancelLoad("unload", Exit.fail(this.conflict("load", "unload")));
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
    use: this.use,
    loadedAt: "loaded" in this.phase ? this.phase.loaded.loadedAt : Infinity,
    lastUsedAt: this.lastUsedAt ?? 0,
    priority: this.keeping.priority,
  });

  readonly makeWay = (): void => this.leave("eviction");

  readonly stay = (): void => {
    if (this.phase.state !== "draining" || this.phase.why !== "eviction") return;
    this.enter({ state: "active", loaded: this.phase.loaded });
    this.leaveIfRetired();
  };

  private get use(): Resident["use"] {
    const { phase } = this;
    if ("why" in phase && (phase.state === "unloading" || phase.why === "unload")) return "leaving";
    if (this.keeping.pinned) return "pinned";
    return phase.state === "active" && this.isUnused ? "idle" : "busy";
  }

  private get isUnused(): boolean {
    return this.holding === 0 && this.waiting.size === 0;
  }

  private get idleSince(): number | undefined {
    return this.phase.state === "active" && this.isUnused
      ? Math.max(this.phase.loaded.loadedAt, this.lastUsedAt ?? 0)
      : undefined;
  }

  private enter(next: Phase, exit: Exit.Exit<void, LoadFailure> = Exit.void): void {
    const { over } = this;
    this.phase = next;
    this.over = Deferred.makeUnsafe();
    if (next.state === "active") this.admit(next.loaded);
    Deferred.doneUnsafe(over, exit);
    this.watchIdle();
    this.options.onChange();
  }

  private watchIdle(): void {
    const { pinned, idleTtlMs } = this.keeping;
    if (this.phase.state === "active" && !pinned && idleTtlMs > 0) this.idleWatch.begin(idleTtlMs);
    else this.idleWatch.end();
  }

  /** All who wait have the engine from here on, also where it is asked to go in the same moment. */
  private admit(loaded: LoadedEngine): void {
    for (const place of this.waiting) {
      place.loaded = loaded;
      this.holding += 1;
      this.touch();
    }
    this.waiting.clear();
  }

  private touch(): void {
    this.lastUsedAt = this.options.clock.currentTimeMillisUnsafe();
  }

  private giveBack(): void {
    this.holding -= 1;
    this.touch();
    this.leaveIfUnused();
    if (this.isUnused) this.options.onIdle();
  }

  private giveUp(place: Place): void {
    if (place.loaded !== undefined) return this.giveBack();
    this.waiting.delete(place);
    if (this.isUnused) this.cancelLoad("cancelled", Exit.void);
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
  private beginLoad(): Deferred.Deferred<void, LoadFailure> {
    const loading: Phase = { state: "loading", fiber: undefined };
    this.enter(loading);
    const { over } = this;
    loading.fiber = this.options.run(this.load(loading));
    return over;
  }

  private load(loading: Phase): Effect.Effect<void> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.gen({ self: this }, function* () {
        const scope = yield* Scope.fork(this.options.scope);
        const exit = yield* Effect.exit(restore(Scope.provide(this.options.start, scope)));
        yield* this.settle(loading, scope, exit);
      }),
    );
  }

  private settle(loading: Phase, scope: Scope.Closeable, exit: Exit.Exit<Engine, LoadFailure>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const now = () => this.options.clock.currentTimeMillisUnsafe();
      if (Exit.isSuccess(exit) && this.phase === loading) {
        this.options.onLoaded("loaded");
        this.lastUsedAt ??= now();
        this.enter({ state: "active", loaded: new LoadedEngine(exit.value, scope, now()) });
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
      yield* Effect.annotateLogs(Effect.logError("model failed to load", exit.cause), {
        model: this.id,
      });
      // That there is no room for it says nothing of the model.
      if (error._tag !== "ModelBroken" && error._tag !== "ModelNotDownloaded" && error._tag !== "EngineStartFailed") {
        return this.enter({ state: "available" }, Exit.asVoid(exit));
      }
      this.options.onLoaded("failed");
      this.enter({ state: "failed", error, retryAt: now() + retryFailedAfterMs }, Exit.asVoid(exit));
    });
  }

  /** Those who wait for it end with `exit`, if there are any. */
  private cancelLoad(why: "unload" | "cancelled", exit: Exit.Exit<void, LoadFailure>): void {
    if (this.phase.state !== "loading") return;
    const { fiber } = this.phase;
    this.enter({ state: "unloading", why }, exit);
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
    if (this.phase.state !== "draining" || this.holding > 0) return false;
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

/** Long enough that a crowd of callers does not start a broken model over and over. */
const retryFailedAfterMs = 5_000;

const nothingResident = { residentBytes: 0, kvCacheBytes: 0, prefixCacheBytes: 0, restarts: 0 };

const reasonOf = (error: FilesUnusable | EngineStartFailed): string =>
  error._tag === "ModelNotDownloaded" ? error.message : error.cause;

const broken = ({ id }: ModelFacts, cause: string) => new ModelBroken({ model: id, cause });
