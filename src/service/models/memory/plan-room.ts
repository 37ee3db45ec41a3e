/** Decides which models make room for another one. Pure; Reservations carries out the plan. */

/** A model that takes part of the memory budget. */
export interface Resident {
  readonly bytes: number;
  /**
   * - `leaving`: its memory will be free soon without further action.
   * - `idle`: it can be evicted now.
   * - `busy`: it can be evicted when its users have finished; also a model that is still loading.
   * - `pinned`: it stays.
   */
  readonly use: "leaving" | "idle" | "busy" | "pinned";
  /** Milliseconds of domain/elapsed.ts, like `loadedAt`. */
  readonly lastUsedAt: number;
  /** Infinity while it is loading. */
  readonly loadedAt: number;
  /** Models with a lower priority are evicted first. */
  readonly priority: number;
}

export interface RoomLimits {
  readonly maxLoaded: number;
  readonly budgetBytes: number;
}

export interface RoomPlan<R> {
  /** Idle models: the lowest priority first, then the least recently used. */
  readonly evict: ReadonlyArray<R>;
  /**
   * Busy models that have to go as well: the lowest priority first, then the longest loaded, which have had their turn.
   */
  readonly waitFor: ReadonlyArray<R>;
}

export const bytesOf = (residents: ReadonlyArray<Resident>): number =>
  residents.reduce((sum, { bytes }) => sum + bytes, 0);

/** Whether one more model fits beside these. */
export const hasRoom = (
  residents: ReadonlyArray<Resident>,
  neededBytes: number,
  { maxLoaded, budgetBytes }: RoomLimits,
): boolean => residents.length < maxLoaded && bytesOf(residents) + neededBytes <= budgetBytes;

/**
 * Plans no more evictions than needed, idle models before busy ones. Empty if the models that are leaving free enough;
 * undefined if pinned models leave no room whatever else is evicted.
 */
export const planRoom = <R extends Resident>(
  residents: ReadonlyArray<R>,
  neededBytes: number,
  limits: RoomLimits,
): RoomPlan<R> | undefined => {
  const fits = (staying: ReadonlyArray<R>) => hasRoom(staying, neededBytes, limits);
  const pinned = residents.filter(({ use }) => use === "pinned");
  if (!fits(pinned)) return undefined;
  const inOrder = (use: Resident["use"], at: (resident: R) => number) =>
    residents
      .filter((resident) => resident.use === use)
      .toSorted((a, b) => a.priority - b.priority || compare(at(a), at(b)));
  const idle = inOrder("idle", ({ lastUsedAt }) => lastUsedAt);
  const busy = inOrder("busy", ({ loadedAt }) => loadedAt);
  const staying = [...pinned];
  const going = new Set<R>();
  // In the order of who should stay: each stays if it fits, and one that does not fit leaves the others their chance.
  for (const candidate of [...idle, ...busy].toReversed()) {
    if (fits([...staying, candidate])) staying.push(candidate);
    else going.add(candidate);
  }
  return { evict: idle.filter((each) => going.has(each)), waitFor: busy.filter((each) => going.has(each)) };
};

/** Compares without a difference, which would be NaN for two infinities. */
const compare = (a: number, b: number): number => (a === b ? 0 : a - b);
