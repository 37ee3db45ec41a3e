/** One model's life in memory: loaded by its first user, shared while it is used, and unloaded as a whole. */
import { Deferred, Effect, Exit, type Scope } from "effect";

import { type LoadFailure, ModelOperationConflict } from "../../domain/errors.ts";
import type { ModelCondition, ModelState, ServedModel } from "../../domain/model.ts";
import type { AnyEngine } from "../../engine/Engine.ts";
import { type EngineStatus, noMemory } from "../../engine/EngineStatus.ts";
import type { StartStage } from "../../engine/Engines.ts";
import type { Occupant } from "../memory/Ledger.ts";
import type { Resident } from "../memory/plan-room.ts";
import type { Retention, Unloaded, UnloadOptions } from "../memory/retention.ts";
import { isResident, loadedIn, type Phase, reasonOf, stateOf, useOf } from "./model-phase.ts";
import type { ModelUser } from "./ModelUsers.ts";
import { SlotLoading } from "./SlotLoading.ts";
import { type ModelSlotOptions, SlotState } from "./SlotState.ts";
import { SlotUnloading } from "./SlotUnloading.ts";

export class ModelSlot implements Occupant {
  readonly facts: ServedModel;
  private readonly state: SlotState;
  private readonly unloading: SlotUnloading;
  private readonly loading: SlotLoading;
  /** Fails the running load calls when another call ends their load. */
  private loadForced = Deferred.makeUnsafe<never, ModelOperationConflict>();
  private downloads = 0;
  private startStage: { readonly of: Phase; readonly stage: StartStage } | undefined;
  private readonly startFollowers = new Set<(stage: StartStage) => void>();

  constructor(options: ModelSlotOptions) {
    this.facts = options.facts;
    this.state = new SlotState(options, () => this.unloading.leave("idle"));
    this.unloading = new SlotUnloading(this.state);
    this.loading = new SlotLoading(this.state, this.unloading);
  }

  get id(): string {
    return this.facts.id;
  }

  get isPinned(): boolean {
    return this.state.retention.pinned;
  }

  get isResident(): boolean {
    return isResident(this.state.phase);
  }

  /** Whether a task would get the engine without a load. */
  get isReady(): boolean {
    const { phase } = this.state;
    return phase.state === "active" || (phase.state === "draining" && phase.why === "removal");
  }

  /** Undefined while it has no engine to ask: before it is loaded, and from the beginning of its end. */
  get engine(): AnyEngine | undefined {
    return loadedIn(this.state.phase)?.engine;
  }

  get condition(): ModelCondition {
    const loaded = loadedIn(this.state.phase);
    return { state: this.modelState, delivers: loaded === undefined || loaded.health === "serving" };
  }

  readonly status = Effect.suspend(() => {
    const { phase, retention, users } = this.state;
    const loaded = loadedIn(phase);
    return Effect.map(
      loaded?.engine.status ?? Effect.succeed(nothingResident),
      ({ restarts, device: _device, backend: _backend, ...memory }) => ({
        state: this.modelState,
        stateReason: reasonOf(phase),
        pinned: retention.pinned,
        idleTtlMs: retention.idleTtlMs,
        loadedAt: loaded?.loadedAt.date,
        lastUsedAt: users.lastUsedAt?.date,
        useCount: loaded === undefined ? 0 : this.loading.uses,
        users: users.taken,
        ...memory,
        engineRestarts: restarts,
      }),
    );
  });

  /**
   * The engine, leased until the scope closes. The first caller loads it while the others wait. If all of them leave before
   * it is loaded, the load is cancelled. A caller that comes while the model is unloading waits for its end and loads it
   * again, unless the model was removed from the catalog: those who looked it up before still get the draining engine.
   */
  readonly lease: Effect.Effect<AnyEngine, LoadFailure, Scope.Scope> = Effect.uninterruptibleMask((restore) =>
    Effect.gen({ self: this }, function* () {
      const { users, phase, options } = this.state;
      const user = users.wait();
      const loaded = loadedIn(phase);
      if (loaded !== undefined && this.isReady) users.admit(loaded);
      while (user.loaded === undefined) {
        const exit = yield* Effect.exit(restore(this.loadOrWait));
        if (Exit.isSuccess(exit)) continue;
        this.giveBack(user);
        return yield* Effect.failCause(exit.cause);
      }
      yield* Effect.addFinalizer(() => Effect.sync(() => this.giveBack(user)));
      const overdraft = options.overdraft();
      return overdraft === undefined ? user.loaded.engine : yield* overdraft;
    }),
  );

  /** Counts a task that got the engine. */
  readonly countUse = Effect.sync(() => void (this.loading.uses += 1));

  /** A lease for a call that loads the model. Unlike a task's it fails if another call unloads the model meanwhile. */
  readonly loadingLease: Effect.Effect<AnyEngine, LoadFailure, Scope.Scope> = Effect.suspend(() =>
    Effect.raceFirst(this.lease, Deferred.await(this.loadForced)),
  );

  /** Allows a failed start to be tried again at once, for a caller who may have repaired the cause. */
  forgetFailure(): void {
    this.state.apply({ type: "forget-failure" });
  }

  /** Fails while a call unloads it. */
  assertNotUnloading(asked: "load" | "pin"): Effect.Effect<void, ModelOperationConflict> {
    return Effect.suspend(() => {
      const { phase } = this.state;
      return "why" in phase && phase.why === "unload" ? Effect.fail(this.conflict(asked, "unload")) : Effect.void;
    });
  }

  /** Members that are left out stay unchanged. */
  changeRetention(changes: Partial<Retention>): void {
    this.state.changeRetention(changes);
  }

  /** Shows the model as downloading until the scope closes, unless its files are there. */
  readonly showDownload: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() => {
    const add = (count: number) =>
      Effect.sync(() => {
        this.downloads += count;
        this.state.options.onChange();
      });
    return Effect.acquireRelease(add(1), () => add(-1));
  });

  /** Its driver begins a stage of its start. */
  showStart(stage: StartStage): void {
    this.startStage = { of: this.state.phase, stage };
    for (const follow of this.startFollowers) follow(stage);
  }

  /** Tells the stages of its start until the scope closes, first the one that it is in. */
  followStart(follow: (stage: StartStage) => void): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => {
        this.startFollowers.add(follow);
        // Only the stage of this start counts. It may still wait for memory, and then an earlier start's stage is out
        // of date.
        if (this.startStage?.of === this.state.phase) follow(this.startStage.stage);
      }),
      () => Effect.sync(() => this.startFollowers.delete(follow)),
    );
  }

  /**
   * Ends the engine as soon as nobody uses it. A caller who looked the model up before may still lease it: it is then
   * loaded again, for as long as that caller uses it.
   */
  retire(): void {
    this.state.retired = true;
    this.changeRetention({ pinned: false });
    this.unloading.leaveIfRetired();
  }

  /** Completes when the process has ended. Continues when its caller leaves. */
  readonly unload = (options: UnloadOptions): Effect.Effect<Unloaded, ModelOperationConflict> =>
    Effect.suspend((): Effect.Effect<Unloaded, ModelOperationConflict> => {
      const { phase } = this.state;
      switch (phase.state) {
        case "available":
        case "failed":
          return Effect.succeed({ unloaded: false, freedBytes: 0 });
        case "loading":
          if (!options.force) return Effect.fail(this.conflict("unload", "load"));
          Deferred.doneUnsafe(this.loadForced, Exit.fail(this.conflict("load", "unload")));
          this.loadForced = Deferred.makeUnsafe();
          this.loading.cancel("unload");
          return Effect.as(this.afterUnloading, { unloaded: true, freedBytes: 0 });
        case "unloading":
          return Effect.as(this.afterUnloading, { unloaded: true, freedBytes: 0 });
        case "active":
        case "draining":
          return this.unloading.drain(phase.loaded, options);
      }
    });

  /**
   * Unloads it if no task uses it or waits for it, and completes when its process has ended. Otherwise it stays as it is, and the
   * result says why.
   */
  readonly unloadIdle = (includePinned: boolean): Effect.Effect<Unloaded | string> =>
    Effect.suspend((): Effect.Effect<Unloaded | string> => {
      const { phase, users } = this.state;
      switch (phase.state) {
        case "available":
        case "failed":
          return Effect.succeed({ unloaded: false, freedBytes: 0 });
        case "loading":
          return Effect.succeed("it is being loaded");
        case "unloading":
          return Effect.as(this.afterUnloading, { unloaded: true, freedBytes: 0 });
        case "active":
        case "draining": {
          if (this.isPinned && !includePinned) return Effect.succeed("it is pinned");
          const { taken } = users;
          if (!users.areNone) return Effect.succeed(taken === 1 ? "a task uses it" : `${taken} tasks use it`);
          // A task that comes at this very moment may finish.
          return this.unloading.drain(phase.loaded, { drainMs: longestTaskMs, force: false });
        }
      }
    });

  // As an occupant of the memory budget.

  readonly residence = (): Omit<Resident, "bytes"> => {
    const { phase, retention, users } = this.state;
    return {
      use: useOf(phase, retention.pinned, users.areNone),
      loadedAt: loadedIn(phase)?.loadedAt.elapsed ?? Infinity,
      lastUsedAt: users.lastUsedAt?.elapsed ?? 0,
      priority: retention.priority,
    };
  };

  readonly isUnused = (): boolean => this.state.users.areNone;

  readonly makeWay = (why: "eviction" | "limits"): void => this.unloading.leave(why);

  readonly stay = (): void => this.unloading.stay();

  private get modelState(): ModelState {
    return stateOf(this.state.phase, this.downloads);
  }

  private giveBack(user: ModelUser): void {
    const { users, options } = this.state;
    users.leave(user);
    if (user.loaded === undefined) {
      if (users.areNone) this.loading.cancel("cancelled");
      return;
    }
    this.unloading.closeIfUnused();
    if (users.areNone) options.onIdle();
  }

  /** Starts a load if there is none, and waits until the phase ends. */
  private readonly loadOrWait = Effect.suspend((): Effect.Effect<void, LoadFailure> => {
    const { phase, now, phaseEnd } = this.state;
    if (phase.state === "failed" && now.elapsed < phase.retryAt) return Effect.fail(phase.error);
    return phase.state === "available" || phase.state === "failed" ? this.loading.begin() : phaseEnd;
  });

  /** Waits until it is unloaded, which it may be already. */
  readonly afterUnloading: Effect.Effect<void> = Effect.suspend(() =>
    this.state.phase.state === "unloading" ? Effect.ignore(this.state.phaseEnd) : Effect.void,
  );

  private conflict(asked: "load" | "unload" | "pin", running: "load" | "unload"): ModelOperationConflict {
    return new ModelOperationConflict({ model: this.id, asked, running });
  }
}

const longestTaskMs = 86_400_000;

const nothingResident: EngineStatus = { ...noMemory, device: undefined, backend: undefined, restarts: 0 };
