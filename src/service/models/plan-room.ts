/** Which models make way for another: decided here, done elsewhere. */

/** A model that takes a part of the memory budget. */
export interface Resident {
  readonly id: string;
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
}

export interface RoomLimits {
  readonly maxLoaded: number;
  readonly budgetBytes: number;
}

export interface RoomPlan {
  /** Idle ones, least recently used first. */
  readonly evict: ReadonlyArray<string>;
  /** Busy ones without whose end there is no room, longest loaded first: they have had their turn. */
  readonly waitFor: ReadonlyArray<string>;
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
export const planRoom = (
  residents: ReadonlyArray<Resident>,
  neededBytes: number,
  limits: RoomLimits,
): RoomPlan | undefined => {
  const fits = (staying: ReadonlyArray<Resident>) => hasRoom(staying, neededBytes, limits);
  const pinned = residents.filter(({ use }) => use === "pinned");
  if (!fits(pinned)) return undefined;
  const idle = residents.filter(({ use }) => use === "idle").toSorted((a, b) => a.lastUsedAt - b.lastUsedAt);
  const busy = residents.filter(({ use }) => use === "busy").toSorted((a, b) => compare(a.loadedAt, b.loadedAt));
  const staying = [...pinned];
  const going: Resident[] = [];
  // Asked in the order of who most deserves to stay; one that does not fit beside these leaves the rest their chance.
  for (const candidate of [...idle, ...busy].toReversed()) {
    if (fits([...staying, candidate])) staying.push(candidate);
    else going.unshift(candidate);
  }
  const idsOf = (use: Resident["use"]) => going.filter((each) => each.use === use).map(({ id }) => id);
  return { evict: idsOf("idle"), waitFor: idsOf("busy") };
};

/** Two infinities are equal, which their difference is not. */
const compare = (a: number, b: number): number => (a === b ? 0 : a - b);
