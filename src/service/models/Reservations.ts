/**
 * The memory budget: who has which part of it, and the loads that wait for theirs. A part is taken before an engine
 * starts and given back when its process is gone, so that the budget holds at every moment in between.
 */
import { type Clock, Deferred, Effect, Exit, type Scope } from "effect";

import { ModelPoolFull, ModelTooLarge } from "../domain/errors.ts";
import { bytesOf, hasRoom, planRoom, type Resident, type RoomLimits, type RoomPlan } from "./plan-room.ts";

/** A model as the budget sees it. */
export interface Tenant {
  readonly id: string;
  readonly residence: () => Omit<Resident, "bytes">;
  /** Leaves: at once if it is idle, or else when those who use it have finished; nobody new is let in meanwhile. */
  readonly makeWay: () => void;
  /** Takes `makeWay` back where it has not left yet. */
  readonly stay: () => void;
}

export interface ReservationLimits extends RoomLimits {
  /** How long a load waits for models in use. */
  readonly waitMs: number;
}

/** How a model would fit beside the others. */
export interface Room extends RoomPlan<string> {
  /** Now, or when idle ones have made way. */
  readonly fits: boolean;
  /** What the others leave of the budget. */
  readonly availableBytes: number;
  readonly loadedModels: number;
}

/** Two of them may have one id: a model that was removed, and the one that has its name now. */
interface TenantResident extends Resident {
  readonly tenant: Tenant;
}

interface Waiting {
  readonly tenant: Tenant;
  readonly neededBytes: number;
  /** Epoch milliseconds. */
  readonly since: number;
  readonly turn: Deferred.Deferred<void, ModelPoolFull>;
  granted: boolean;
}

/**
 * So long a load hopes that a model in use falls idle by itself. Then one is closed to new tasks until it is, or a model
 * that is never idle would keep the others out for good.
 */
const patienceMs = 1_000;

/** What a refused caller is told to wait. */
const retryAfterMs = 1_000;

export class Reservations {
  private readonly limits: ReservationLimits;
  private readonly clock: Clock.Clock;
  private readonly held = new Map<Tenant, number>();
  /** First come, first served: a large model does not wait for ever behind small ones. */
  private readonly waiting: Waiting[] = [];
  private asked: ReadonlySet<Tenant> = new Set();
  private advancing = false;
  private again = false;

  constructor(limits: ReservationLimits, clock: Clock.Clock) {
    this.limits = limits;
    this.clock = clock;
  }

  /** Waits until the model fits. The scope holds its part. */
  reserve(tenant: Tenant, neededBytes: number): Effect.Effect<void, ModelTooLarge | ModelPoolFull, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => this.acquire(tenant, neededBytes)),
      () => Effect.sync(() => this.release(tenant)),
      { interruptible: true },
    );
  }

  /** Something has changed that may let a load begin. */
  advance(): void {
    // What it asks of a tenant may change something again.
    this.again = true;
    if (this.advancing) return;
    this.advancing = true;
    while (this.again) {
      this.again = false;
      this.serve();
    }
    this.advancing = false;
  }

  room(tenant: Tenant, neededBytes: number): Room {
    const others = this.residents(tenant);
    const plan = planRoom(others, neededBytes, this.limits);
    const { evict, waitFor } = plan ?? { evict: [], waitFor: [] };
    const fits = this.held.has(tenant) || (plan !== undefined && waitFor.length === 0);
    return { fits, evict: evict.map(idOf), waitFor: waitFor.map(idOf), ...this.left(others) };
  }

  reservedBytes(tenant: Tenant): number {
    return this.held.get(tenant) ?? 0;
  }

  get totals(): { readonly loaded: number; readonly reservedBytes: number; readonly waiting: number } {
    const residents = this.residents();
    return { loaded: residents.length, reservedBytes: bytesOf(residents), waiting: this.waiting.length };
  }

  private acquire(tenant: Tenant, neededBytes: number): Effect.Effect<void, ModelTooLarge | ModelPoolFull> {
    const { budgetBytes, waitMs } = this.limits;
    if (neededBytes > budgetBytes) {
      return Effect.fail(new ModelTooLarge({ model: tenant.id, neededBytes, availableBytes: budgetBytes }));
    }
    const own: Waiting = {
      tenant,
      neededBytes,
      since: this.clock.currentTimeMillisUnsafe(),
      turn: Deferred.makeUnsafe(),
      granted: false,
    };
    this.waiting.push(own);
    this.advance();
    const turn = Deferred.await(own.turn);
    return turn.pipe(
      Effect.timeoutOrElse({
        duration: patienceMs,
        orElse: () => Effect.suspend(() => (this.advance(), turn)),
      }),
      Effect.timeoutOrElse({
        duration: waitMs,
        orElse: () => Effect.suspend(() => (this.isBlocked(own) ? Effect.fail(this.full(own)) : turn)),
      }),
      Effect.onError(() => Effect.sync(() => this.leave(own))),
    );
  }

  private leave(own: Waiting): void {
    const place = this.waiting.indexOf(own);
    if (place >= 0) this.waiting.splice(place, 1);
    if (own.granted) this.release(own.tenant);
    else this.advance();
  }

  private release(tenant: Tenant): void {
    this.held.delete(tenant);
    this.advance();
  }

  private serve(): void {
    for (let head = this.waiting[0]; head !== undefined; head = this.waiting[0]) {
      if (hasRoom(this.residents(), head.neededBytes, this.limits)) {
        this.waiting.shift();
        this.held.set(head.tenant, head.neededBytes);
        head.granted = true;
        Deferred.doneUnsafe(head.turn, Exit.void);
        continue;
      }
      const plan = planRoom(this.residents(), head.neededBytes, this.limits);
      if (plan !== undefined) {
        this.ask(plan, head);
        return;
      }
      this.waiting.shift();
      Deferred.doneUnsafe(head.turn, Exit.fail(this.full(head)));
    }
    this.ask({ evict: [], waitFor: [] }, undefined);
  }

  /** Those that a former plan asked and this one does not may stay. */
  private ask({ evict, waitFor }: RoomPlan<TenantResident>, head: Waiting | undefined): void {
    const waited = head === undefined ? 0 : this.clock.currentTimeMillisUnsafe() - head.since;
    const going = waitFor.length > 0 && waited < patienceMs ? [] : [...evict, ...waitFor];
    const before = this.asked;
    this.asked = new Set(going.map(({ tenant }) => tenant));
    for (const tenant of before) if (!this.asked.has(tenant)) tenant.stay();
    for (const tenant of this.asked) tenant.makeWay();
  }

  /** Whether it is models in use that it waits for, or its turn. */
  private isBlocked(own: Waiting): boolean {
    if (own.granted) return false;
    const plan = planRoom(this.residents(), own.neededBytes, this.limits);
    return own !== this.waiting[0] || plan === undefined || plan.waitFor.length > 0;
  }

  private full({ tenant, neededBytes, since }: Waiting): ModelPoolFull {
    return new ModelPoolFull({
      model: tenant.id,
      neededBytes,
      ...this.left(this.residents()),
      budgetBytes: this.limits.budgetBytes,
      maxLoadedModels: this.limits.maxLoaded,
      waitedMs: this.clock.currentTimeMillisUnsafe() - since,
      retryAfterMs,
    });
  }

  private left(others: ReadonlyArray<Resident>): { readonly availableBytes: number; readonly loadedModels: number } {
    return { availableBytes: this.limits.budgetBytes - bytesOf(others), loadedModels: others.length };
  }

  private residents(apart?: Tenant): ReadonlyArray<TenantResident> {
    return [...this.held]
      .filter(([tenant]) => tenant !== apart)
      .map(([tenant, bytes]) => ({ tenant, bytes, ...tenant.residence() }));
  }
}

const idOf = ({ tenant }: TenantResident): string => tenant.id;
