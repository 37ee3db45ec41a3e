/** Which models make way for another: decided here, done elsewhere. */

/** A model that takes a part of the memory budget. */
export interface Resident {
  readonly bytes: number;
  /**
   * - `leaving`: its memory comes back without further ado.
   * - `idle`: it may go at once.
   * - `busy`: it may go when those who use it have finished; also one that is still loading.
   * - `pinned`: it stays.
   */
  readonly use: "leaving" | "idle" | "busy" | "pinned";
  /** Epoch milliseconds, as is `loadedAt`. */
  readonly lastUsedAt: number;
  /** Infinity while it loads. */
  readonly loadedAt: number;
  /** Those of a lower one go first. */
  readonly priority: number;
}

export interface RoomLimits {
  readonly maxLoaded: number;
  readonly budgetBytes: number;
}

export interface RoomPlan<R> {
  /** Idle ones: of the lowest priority first, then least recently used. */
  readonly evict: ReadonlyArray<R>;
  /** Busy ones without whose end there is no room: of the lowest priority first, then longest loaded: they have had their turn. */
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
 * No more than is needed, idle ones before busy ones. Nothing where those that are leaving make room enough; undefined
 * where pinned ones leave none whatever else goes.
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
  // Asked in the order of who most deserves to stay; one that does not fit beside these leaves the rest their chance.
  for (const candidate of [...idle, ...busy].toReversed()) {
    if (fits([...staying, candidate])) staying.push(candidate);
    else going.add(candidate);
  }
  return { evict: idle.filter((each) => going.has(each)), waitFor: busy.filter((each) => going.has(each)) };
};

/** Two infinities are equal, which their difference is not. */
const compare = (a: number, b: number): number => (a === b ? 0 : a - b);
