/**
 * Loads wait here for their share of the memory budget. A reservation is made before an engine starts and released when
 * its process is gone, so that the budget holds at every moment.
 */
import { type Clock, Deferred, Effect, Exit, type Scope } from "effect";

import { elapsedMsUnsafe } from "../../domain/elapsed.ts";
import { MemoryBudgetExceeded, ModelPoolFull, ModelTooLarge } from "../../domain/errors.ts";
import { Ledger, type Occupant, type OccupantResident } from "./Ledger.ts";
import { bytesOf, hasRoom, planRoom, type Resident, type RoomLimits, type RoomPlan } from "./plan-room.ts";

export interface ReservationLimits extends RoomLimits {
  /** How long a load waits for models in use. */
  readonly waitMs: number;
}

/** How a model would fit beside the others. */
export interface Room extends RoomPlan<string> {
  /** Now, or after idle models have been evicted. */
  readonly fits: boolean;
  /** What the other models leave of the budget. */
  readonly availableBytes: number;
  readonly loadedModels: number;
}

interface Waiting {
  readonly occupant: Occupant;
  readonly neededBytes: number;
  /** When it began to wait, in monotonic milliseconds. */
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
  private readonly ledger = new Ledger();
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
    return this.ledger.surplusInUse(this.limits).map(({ occupant }) => occupant);
  }

  /** Whether more is taken than the limits allow, when those that leave are gone. */
  get isOverLimits(): boolean {
    return this.ledger.exceeds(this.limits);
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
    try {
      while (this.again) {
        this.again = false;
        this.serve();
      }
    } finally {
      this.advancing = false;
    }
  }

  room(occupant: Occupant, neededBytes: number): Room {
    const others = this.ledger.residents(occupant);
    const plan = planRoom(others, neededBytes, this.limits);
    const { evict, waitFor } = plan ?? { evict: [], waitFor: [] };
    const fits = this.ledger.has(occupant) || (plan !== undefined && waitFor.length === 0);
    return { fits, evict: evict.map(idOf), waitFor: waitFor.map(idOf), ...this.left(others) };
  }

  /** How much of the budget it takes. */
  reservedBytes(occupant: Occupant): number {
    return this.ledger.bytesOf(occupant);
  }

  /**
   * Updates the measured size of an occupant's process. If it exceeds its reservation and the budget, idle models are
   * evicted, itself included.
   */
  measure(occupant: Occupant, bytes: number): void {
    if (this.ledger.measure(occupant, bytes)) this.advance();
  }

  /** A loaded occupant needs more than was reserved. False if other models in use leave no room for it. */
  raise(occupant: Occupant, neededBytes: number): boolean {
    if (!this.ledger.raise(occupant, neededBytes)) return false;
    this.advance();
    return !this.isOverBudget;
  }

  /**
   * Why an occupant may not start new work: it exceeds its reservation, and no model can be evicted to make up for it.
   */
  overdraft(occupant: Occupant): MemoryBudgetExceeded | undefined {
    const outgrown = this.ledger.outgrown(occupant);
    if (outgrown === undefined || !this.isOverBudget) return undefined;
    return new MemoryBudgetExceeded({
      model: occupant.id,
      residentBytes: outgrown.measuredBytes,
      reservedBytes: outgrown.reservedBytes,
      budgetBytes: this.limits.budgetBytes,
      retryAfterMs,
    });
  }

  /** Whether more bytes are taken than there are, when those that leave are gone. */
  private get isOverBudget(): boolean {
    return this.ledger.exceeds({ ...this.limits, maxLoaded: Infinity });
  }

  get totals(): { readonly loaded: number; readonly reservedBytes: number; readonly waiting: number } {
    const residents = this.ledger.residents();
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
    this.ledger.release(occupant);
    this.advance();
  }

  private serve(): void {
    for (let head = this.waiting[0]; head !== undefined; head = this.waiting[0]) {
      if (hasRoom(this.ledger.residents(), head.neededBytes, this.limits)) {
        this.waiting.shift();
        this.ledger.reserve(head.occupant, head.neededBytes);
        head.granted = true;
        Deferred.doneUnsafe(head.turn, Exit.void);
        continue;
      }
      const isTooLarge = head.neededBytes > this.limits.budgetBytes;
      const plan = isTooLarge ? undefined : planRoom(this.ledger.residents(), head.neededBytes, this.limits);
      if (plan !== undefined) {
        this.ask(plan, head);
        return;
      }
      this.waiting.shift();
      const failure = isTooLarge ? this.tooLarge(head.occupant, head.neededBytes) : this.full(head);
      Deferred.doneUnsafe(head.turn, Exit.fail(failure));
    }
    this.ask({ evict: this.ledger.surplus(this.limits), waitFor: [] }, undefined);
  }

  /** Asks the models of the plan to leave; models that an earlier plan asked may stay. */
  private ask({ evict, waitFor }: RoomPlan<OccupantResident>, head: Waiting | undefined): void {
    const waited = head === undefined ? 0 : elapsedMsUnsafe(this.clock) - head.since;
    const isPatient = waitFor.length > 0 && waited < patienceMs;
    const going = isPatient ? this.ledger.surplus(this.limits) : [...evict, ...waitFor];
    const why = head === undefined || isPatient ? "limits" : "eviction";
    const before = this.asked;
    this.asked = new Set(going.map(({ occupant }) => occupant));
    for (const occupant of before) if (!this.asked.has(occupant)) occupant.stay();
    for (const occupant of this.asked) occupant.makeWay(why);
  }

  /** Whether it waits for models in use, and not just for its turn. */
  private isBlocked(own: Waiting): boolean {
    if (own.granted) return false;
    const plan = planRoom(this.ledger.residents(), own.neededBytes, this.limits);
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
      ...this.left(this.ledger.residents(occupant)),
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
}

const idOf = ({ occupant }: OccupantResident): string => occupant.id;
