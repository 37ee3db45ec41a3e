/**
 * The memory budget: the reservations of models, and the loads that wait for memory. A reservation is made before an
 * engine starts and released when its process is gone, so that the budget holds at every moment.
 */
import { type Clock, Deferred, Effect, Exit, type Scope } from "effect";

import { elapsedMsUnsafe } from "../../domain/elapsed.ts";
import { MemoryBudgetExceeded, ModelPoolFull, ModelTooLarge } from "../../domain/errors.ts";
import { bytesOf, hasRoom, planRoom, type Resident, type RoomLimits, type RoomPlan } from "./plan-room.ts";

/** A model from the budget's point of view. */
export interface Occupant {
  readonly id: string;
  readonly residence: () => Omit<Resident, "bytes">;
  /** Whether nobody uses it or waits for it, even if it is pinned. */
  readonly isUnused: () => boolean;
  /** Asks it to leave: at once if it is idle, otherwise when its users have finished; no new users are admitted. */
  readonly makeWay: (why: "eviction" | "limits") => void;
  /** Revokes `makeWay` if it has not left yet. */
  readonly stay: () => void;
}

export interface ReservationLimits extends RoomLimits {
  /** How long a load waits for models in use. */
  readonly waitMs: number;
}

/** An occupant's reservation. If its process takes more than was reserved, the measured size counts. */
interface Reservation {
  readonly reservedBytes: number;
  measuredBytes: number;
}

/** How a model would fit beside the others. */
export interface Room extends RoomPlan<string> {
  /** Now, or after idle models have been evicted. */
  readonly fits: boolean;
  /** What the other models leave of the budget. */
  readonly availableBytes: number;
  readonly loadedModels: number;
}

/** Two occupants may have the same id: a removed model, and the model that has its name now. */
interface OccupantResident extends Resident {
  readonly occupant: Occupant;
}

interface Waiting {
  readonly occupant: Occupant;
  readonly neededBytes: number;
  /** Epoch milliseconds. */
  readonly since: number;
  readonly turn: Deferred.Deferred<void, ModelPoolFull | ModelTooLarge>;
  granted: boolean;
}

/**
 * How long a load waits for a busy model to become idle by itself. After that one is closed to new tasks until it is
 * idle; otherwise a model that is never idle would keep the others out for good.
 */
const patienceMs = 1_000;

/** The retry delay of a refused load. */
const retryAfterMs = 1_000;

export class Reservations {
  private current: ReservationLimits;
  private readonly clock: Clock.Clock;
  private readonly held = new Map<Occupant, Reservation>();
  /** First come, first served, so that a large model is not starved by small ones. */
  private readonly waiting: Waiting[] = [];
  private asked: ReadonlySet<Occupant> = new Set();
  private advancing = false;
  private again = false;

  constructor(limits: ReservationLimits, clock: Clock.Clock) {
    this.current = limits;
    this.clock = clock;
  }

  get limits(): ReservationLimits {
    return this.current;
  }

  /**
   * Changes the limits, in force at once. If they are lower than what is taken, idle models make way now and those in use when
   * they become idle; loads that can never fit any more fail.
   */
  resize(changes: Partial<RoomLimits>): void {
    this.current = { ...this.current, ...changes };
    this.advance();
  }

  /** Models in use that leave, as soon as they are idle, since more is taken than the limits allow. */
  get leavingWhenIdle(): ReadonlyArray<Occupant> {
    if (!this.exceeds(this.limits)) return [];
    const residents = this.residents();
    const busy = planSurplus(residents, this.limits)?.waitFor ?? residents.filter(({ use }) => use === "busy");
    return busy.map(({ occupant }) => occupant);
  }

  /** Whether more is taken than the limits allow, when those that leave are gone. */
  get isOverLimits(): boolean {
    return this.exceeds(this.limits);
  }

  /** Waits until the model fits. The scope holds its reservation. */
  reserve(occupant: Occupant, neededBytes: number): Effect.Effect<void, ModelTooLarge | ModelPoolFull, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.suspend(() => this.acquire(occupant, neededBytes)),
      () => Effect.sync(() => this.release(occupant)),
      { interruptible: true },
    );
  }

  /** Called when something has changed that may let a load begin. */
  advance(): void {
    // Asking an occupant to leave may change something again, hence the loop.
    this.again = true;
    if (this.advancing) return;
    this.advancing = true;
    while (this.again) {
      this.again = false;
      this.serve();
    }
    this.advancing = false;
  }

  room(occupant: Occupant, neededBytes: number): Room {
    const others = this.residents(occupant);
    const plan = planRoom(others, neededBytes, this.limits);
    const { evict, waitFor } = plan ?? { evict: [], waitFor: [] };
    const fits = this.held.has(occupant) || (plan !== undefined && waitFor.length === 0);
    return { fits, evict: evict.map(idOf), waitFor: waitFor.map(idOf), ...this.left(others) };
  }

  /** How much of the budget it takes. */
  reservedBytes(occupant: Occupant): number {
    const reservation = this.held.get(occupant);
    return reservation === undefined ? 0 : countedBytes(reservation);
  }

  /**
   * Updates the measured size of an occupant's process. If it exceeds its reservation and the budget, idle models are
   * evicted, itself included.
   */
  measure(occupant: Occupant, bytes: number): void {
    const reservation = this.held.get(occupant);
    if (reservation === undefined) return;
    const before = countedBytes(reservation);
    reservation.measuredBytes = bytes;
    if (countedBytes(reservation) !== before) this.advance();
  }

  /** A loaded occupant needs more than was reserved. False if other models in use leave no room for it. */
  raise(occupant: Occupant, neededBytes: number): boolean {
    const reservation = this.held.get(occupant);
    if (reservation === undefined) return false;
    this.held.set(occupant, { ...reservation, reservedBytes: Math.max(reservation.reservedBytes, neededBytes) });
    this.advance();
    return !this.isOverBudget;
  }

  /**
   * Why an occupant may not start new work: it exceeds its reservation, and no model can be evicted to make up for it.
   */
  overdraft(occupant: Occupant): MemoryBudgetExceeded | undefined {
    const reservation = this.held.get(occupant);
    if (reservation === undefined || reservation.measuredBytes <= reservation.reservedBytes || !this.isOverBudget)
      return undefined;
    return new MemoryBudgetExceeded({
      model: occupant.id,
      residentBytes: reservation.measuredBytes,
      reservedBytes: reservation.reservedBytes,
      budgetBytes: this.limits.budgetBytes,
      retryAfterMs,
    });
  }

  /** Whether more bytes are taken than there are, when those that leave are gone. */
  private get isOverBudget(): boolean {
    return this.exceeds({ ...this.limits, maxLoaded: Infinity });
  }

  private exceeds({ maxLoaded, budgetBytes }: RoomLimits): boolean {
    const staying = this.residents().filter(({ use }) => use !== "leaving");
    return staying.length > maxLoaded || bytesOf(staying) > budgetBytes;
  }

  get totals(): { readonly loaded: number; readonly reservedBytes: number; readonly waiting: number } {
    const residents = this.residents();
    return { loaded: residents.length, reservedBytes: bytesOf(residents), waiting: this.waiting.length };
  }

  private acquire(occupant: Occupant, neededBytes: number): Effect.Effect<void, ModelTooLarge | ModelPoolFull> {
    if (neededBytes > this.limits.budgetBytes) return Effect.fail(this.tooLarge(occupant, neededBytes));
    const own: Waiting = {
      occupant,
      neededBytes,
      since: elapsedMsUnsafe(this.clock),
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
        duration: this.limits.waitMs,
        orElse: () => Effect.suspend(() => (this.isBlocked(own) ? Effect.fail(this.full(own)) : turn)),
      }),
      Effect.onError(() => Effect.sync(() => this.leave(own))),
    );
  }

  private leave(own: Waiting): void {
    const place = this.waiting.indexOf(own);
    if (place >= 0) this.waiting.splice(place, 1);
    if (own.granted) this.release(own.occupant);
    else this.advance();
  }

  private release(occupant: Occupant): void {
    this.held.delete(occupant);
    this.advance();
  }

  private serve(): void {
    for (let head = this.waiting[0]; head !== undefined; head = this.waiting[0]) {
      if (hasRoom(this.residents(), head.neededBytes, this.limits)) {
        this.waiting.shift();
        this.held.set(head.occupant, { reservedBytes: head.neededBytes, measuredBytes: 0 });
        head.granted = true;
        Deferred.doneUnsafe(head.turn, Exit.void);
        continue;
      }
      const isTooLarge = head.neededBytes > this.limits.budgetBytes;
      const plan = isTooLarge ? undefined : planRoom(this.residents(), head.neededBytes, this.limits);
      if (plan !== undefined) {
        this.ask(plan, head);
        return;
      }
      this.waiting.shift();
      const failure = isTooLarge ? this.tooLarge(head.occupant, head.neededBytes) : this.full(head);
      Deferred.doneUnsafe(head.turn, Exit.fail(failure));
    }
    this.ask({ evict: this.surplus(), waitFor: [] }, undefined);
  }

  /** Idle models to evict while the budget is exceeded. */
  private surplus(): ReadonlyArray<OccupantResident> {
    if (!this.isOverLimits) return [];
    const residents = this.residents();
    const idle = planSurplus(residents, this.limits)?.evict ?? residents.filter(({ use }) => use === "idle");
    if (bytesOf(residents) - bytesOf(idle) <= this.limits.budgetBytes) return idle;
    // A pinned model is not evicted for others, but it has to give back what exceeds its own reservation.
    return [...idle, ...residents.filter(({ occupant, use }) => use === "pinned" && this.hasOutgrown(occupant))];
  }

  private hasOutgrown(occupant: Occupant): boolean {
    const reservation = this.held.get(occupant);
    return reservation !== undefined && reservation.measuredBytes > reservation.reservedBytes && occupant.isUnused();
  }

  /** Asks the models of the plan to leave; models that an earlier plan asked may stay. */
  private ask({ evict, waitFor }: RoomPlan<OccupantResident>, head: Waiting | undefined): void {
    const waited = head === undefined ? 0 : elapsedMsUnsafe(this.clock) - head.since;
    const isPatient = waitFor.length > 0 && waited < patienceMs;
    const going = isPatient ? this.surplus() : [...evict, ...waitFor];
    const why = head === undefined || isPatient ? "limits" : "eviction";
    const before = this.asked;
    this.asked = new Set(going.map(({ occupant }) => occupant));
    for (const occupant of before) if (!this.asked.has(occupant)) occupant.stay();
    for (const occupant of this.asked) occupant.makeWay(why);
  }

  /** Whether it waits for models in use, and not just for its turn. */
  private isBlocked(own: Waiting): boolean {
    if (own.granted) return false;
    const plan = planRoom(this.residents(), own.neededBytes, this.limits);
    return own !== this.waiting[0] || plan === undefined || plan.waitFor.length > 0;
  }

  private full({ occupant, neededBytes, since }: Waiting): ModelPoolFull {
    return this.fullAfter(occupant, neededBytes, elapsedMsUnsafe(this.clock) - since);
  }

  /** The error for a model that does not fit beside the others. */
  fullAfter(occupant: Occupant, neededBytes: number, waitedMs: number): ModelPoolFull {
    return new ModelPoolFull({
      model: occupant.id,
      neededBytes,
      ...this.left(this.residents(occupant)),
      budgetBytes: this.limits.budgetBytes,
      maxLoadedModels: this.limits.maxLoaded,
      waitedMs,
      retryAfterMs,
    });
  }

  private tooLarge(occupant: Occupant, neededBytes: number): ModelTooLarge {
    return new ModelTooLarge({ model: occupant.id, neededBytes, availableBytes: this.limits.budgetBytes });
  }

  private left(others: ReadonlyArray<Resident>): { readonly availableBytes: number; readonly loadedModels: number } {
    return { availableBytes: this.limits.budgetBytes - bytesOf(others), loadedModels: others.length };
  }

  private residents(apart?: Occupant): ReadonlyArray<OccupantResident> {
    return [...this.held]
      .filter(([occupant]) => occupant !== apart)
      .map(([occupant, reservation]) => ({ occupant, bytes: countedBytes(reservation), ...occupant.residence() }));
  }
}

/** Who goes where more is taken than the limits allow, and nobody else is to come. */
const planSurplus = (residents: ReadonlyArray<OccupantResident>, { maxLoaded, budgetBytes }: RoomLimits) =>
  planRoom(residents, 0, { maxLoaded: maxLoaded + 1, budgetBytes });

const countedBytes = ({ reservedBytes, measuredBytes }: Reservation): number => Math.max(reservedBytes, measuredBytes);

const idOf = ({ occupant }: OccupantResident): string => occupant.id;
