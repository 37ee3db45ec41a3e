/** Who takes how much of the memory budget. */
import { bytesOf, planRoom, type Resident, type RoomLimits } from "./plan-room.ts";

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

/** An occupant's reservation. If its process takes more than was reserved, the measured size counts. */
interface Reservation {
  readonly reservedBytes: number;
  readonly measuredBytes: number;
}

/** Two occupants may have the same id: a removed model, and the model that has its name now. */
export interface OccupantResident extends Resident {
  readonly occupant: Occupant;
}

export class Ledger {
  private readonly held = new Map<Occupant, Reservation>();

  has(occupant: Occupant): boolean {
    return this.held.has(occupant);
  }

  reserve(occupant: Occupant, reservedBytes: number): void {
    this.held.set(occupant, { reservedBytes, measuredBytes: 0 });
  }

  release(occupant: Occupant): void {
    this.held.delete(occupant);
  }

  /** How much of the budget it takes. */
  bytesOf(occupant: Occupant): number {
    const reservation = this.held.get(occupant);
    return reservation === undefined ? 0 : countedBytes(reservation);
  }

  /** Updates the measured size of an occupant's process. Returns whether it takes more or less of the budget now. */
  measure(occupant: Occupant, measuredBytes: number): boolean {
    const before = this.held.get(occupant);
    if (before === undefined) return false;
    const now = { ...before, measuredBytes };
    this.held.set(occupant, now);
    return countedBytes(now) !== countedBytes(before);
  }

  /** Reserves at least this much for an occupant. Returns false for one that has no reservation. */
  raise(occupant: Occupant, neededBytes: number): boolean {
    const before = this.held.get(occupant);
    if (before === undefined) return false;
    this.held.set(occupant, { ...before, reservedBytes: Math.max(before.reservedBytes, neededBytes) });
    return true;
  }

  /** The reservation of an occupant whose process takes more than that. */
  outgrown(occupant: Occupant): Reservation | undefined {
    const reservation = this.held.get(occupant);
    return reservation !== undefined && reservation.measuredBytes > reservation.reservedBytes ? reservation : undefined;
  }

  residents(apart?: Occupant): ReadonlyArray<OccupantResident> {
    return [...this.held]
      .filter(([occupant]) => occupant !== apart)
      .map(([occupant, reservation]) => ({ occupant, bytes: countedBytes(reservation), ...occupant.residence() }));
  }

  /** Whether more is taken than the limits allow, when those that leave are gone. */
  exceeds({ maxLoaded, budgetBytes }: RoomLimits): boolean {
    const staying = this.residents().filter(({ use }) => use !== "leaving");
    return staying.length > maxLoaded || bytesOf(staying) > budgetBytes;
  }

  /** Models to evict now, since more is taken than the limits allow. */
  surplus(limits: RoomLimits): ReadonlyArray<OccupantResident> {
    if (!this.exceeds(limits)) return [];
    const residents = this.residents();
    const idle = planSurplus(residents, limits)?.evict ?? residents.filter(({ use }) => use === "idle");
    if (bytesOf(residents) - bytesOf(idle) <= limits.budgetBytes) return idle;
    // A pinned model is not evicted for others, but it has to give back what exceeds its own reservation.
    const isPinnedSurplus = ({ occupant, use }: OccupantResident) =>
      use === "pinned" && this.outgrown(occupant) !== undefined && occupant.isUnused();
    return [...idle, ...residents.filter(isPinnedSurplus)];
  }

  /** Models in use that leave when they become idle, since more is taken than the limits allow. */
  surplusInUse(limits: RoomLimits): ReadonlyArray<OccupantResident> {
    if (!this.exceeds(limits)) return [];
    const residents = this.residents();
    return planSurplus(residents, limits)?.waitFor ?? residents.filter(({ use }) => use === "busy");
  }
}

const countedBytes = ({ reservedBytes, measuredBytes }: Reservation): number => Math.max(reservedBytes, measuredBytes);

/** Who goes where more is taken than the limits allow, and nobody else is to come. */
const planSurplus = (residents: ReadonlyArray<OccupantResident>, { maxLoaded, budgetBytes }: RoomLimits) =>
  planRoom(residents, 0, { maxLoaded: maxLoaded + 1, budgetBytes });
