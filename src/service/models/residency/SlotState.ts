/** The state of a model's slot: its phase, its users and its retention. Changes are reported to the slot's owner. */
import { type Clock, Deferred, type Effect, Exit, type Fiber, type Scope } from "effect";

import type { FilesUnusable, LoadFailure, MemoryBudgetExceeded } from "../../domain/errors.ts";
import type { ServedModel } from "../../domain/model.ts";
import type { AnyEngine } from "../../engine/Engine.ts";
import type { Retention, UnloadReason } from "../memory/retention.ts";
import { IdleWatch } from "./IdleWatch.ts";
import type { Phase } from "./model-phase.ts";
import { ModelUsers } from "./ModelUsers.ts";
import { type Moment, momentOf } from "./moment.ts";
import { nextPhase, type PhaseEvent } from "./phase-transitions.ts";

export interface ModelSlotOptions {
  readonly facts: ServedModel;
  /** Why it can never be loaded; undefined when it can. */
  readonly refusal: FilesUnusable | undefined;
  readonly retention: Retention;
  /** Reserves memory, then starts the engine. */
  readonly start: Effect.Effect<AnyEngine, LoadFailure, Scope.Scope>;
  /** Called each second with the resident bytes of its process. */
  readonly onMeasured: (residentBytes: number) => void;
  /** Why it may start no more tasks although it is loaded; undefined if it may. */
  readonly overdraft: () => MemoryBudgetExceeded | undefined;
  /** Whether it would fit now without an eviction. */
  readonly fits: () => boolean;
  /** Holds the engines. */
  readonly scope: Scope.Scope;
  /** Runs work that continues when the call that started it has left. */
  readonly run: (effect: Effect.Effect<void>) => Fiber.Fiber<void>;
  readonly clock: Clock.Clock;
  /** Called after each change of state. */
  readonly onChange: () => void;
  /** Called when it is no longer in use, or may be evicted again. */
  readonly onIdle: () => void;
  readonly onLoaded: (exit: "loaded" | "failed") => void;
  readonly onLeft: (why: UnloadReason) => void;
  /** Called when its files no longer match its facts: this slot cannot load it any more. */
  readonly onFilesChanged: () => void;
}

export class SlotState {
  readonly options: ModelSlotOptions;
  readonly users: ModelUsers;
  /** Whether it has left the catalog. */
  retired = false;
  private current: Phase;
  private currentRetention: Retention;
  /** Completes when the phase ends, or fails with the error for those who wait. */
  private over = Deferred.makeUnsafe<void, LoadFailure>();
  private readonly idleWatch: IdleWatch;

  /** @param onIdleExpired called when the model was not used for its idle time */
  constructor(options: ModelSlotOptions, onIdleExpired: () => void) {
    const { refusal, retention, run, clock } = options;
    this.options = options;
    this.currentRetention = retention;
    this.current =
      refusal === undefined ? { state: "available" } : { state: "failed", error: refusal, retryAt: Infinity };
    this.users = new ModelUsers(clock);
    this.idleWatch = new IdleWatch({ run, clock, idleSince: () => this.idleSince, onExpired: onIdleExpired });
  }

  get id(): string {
    return this.options.facts.id;
  }

  get phase(): Phase {
    return this.current;
  }

  get retention(): Retention {
    return this.currentRetention;
  }

  get now(): Moment {
    return momentOf(this.options.clock);
  }

  /** Completes when the phase ends; fails if the load that was waited for has failed. */
  get phaseEnd(): Effect.Effect<void, LoadFailure> {
    return Deferred.await(this.over);
  }

  /**
   * Applies an event. Returns false if it does not change the phase.
   *
   * @param exit the result for those who wait for the end of the phase
   */
  apply(event: PhaseEvent, exit: Exit.Exit<void, LoadFailure> = Exit.void): boolean {
    const next = nextPhase(this.current, event);
    if (next === undefined) return false;
    const { over } = this;
    this.current = next;
    this.over = Deferred.makeUnsafe();
    if (next.state === "active") this.users.admit(next.loaded);
    Deferred.doneUnsafe(over, exit);
    this.watchIdle();
    this.options.onChange();
    return true;
  }

  /** Members that are left out stay unchanged. */
  changeRetention(changes: Partial<Retention>): void {
    this.currentRetention = { ...this.currentRetention, ...changes };
    this.options.onIdle();
    this.watchIdle();
  }

  private get idleSince(): number | undefined {
    return this.current.state === "active" && this.users.areNone
      ? Math.max(this.current.loaded.loadedAt.elapsed, this.users.lastUsedAt?.elapsed ?? 0)
      : undefined;
  }

  private watchIdle(): void {
    const { pinned, idleTtlMs } = this.currentRetention;
    if (this.current.state === "active" && !pinned && idleTtlMs > 0) this.idleWatch.begin(idleTtlMs);
    else this.idleWatch.end();
  }
}
