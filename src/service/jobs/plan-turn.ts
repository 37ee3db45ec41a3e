/** Which items a host runs next: decided here, done elsewhere. */
import type { Lane } from "./store/take-items.ts";

/** A model that lanes wait for. */
export interface ModelSituation {
  /** Whether it is in memory, or on its way there. Of a name that no model has: its items fail, which needs none. */
  readonly isResident: boolean;
  /** Whether it could be loaded now, and nobody would miss what makes way for it. */
  readonly hasRoom: boolean;
  /** Whether interactive calls use it. */
  readonly isInteractive: boolean;
  /** Items of it that this host runs. */
  readonly running: number;
  /** Since when it is its turn: epoch milliseconds, as is `waitingSince`; undefined while this host runs none of its items. */
  readonly turnSince: number | undefined;
  /** Since when lanes wait for it that has no room. */
  readonly waitingSince: number | undefined;
}

export interface TurnInput {
  /** Those that may have items ready, each with the key of its model. */
  readonly lanes: ReadonlyArray<Lane & { readonly key: string }>;
  readonly models: ReadonlyMap<string, ModelSituation>;
  /** Items that this host runs, by tenant. */
  readonly runningOf: ReadonlyMap<string, number>;
  /** Items of one model that this host runs at once. */
  readonly parallel: number;
  readonly now: number;
}

export interface Pick {
  readonly lane: Lane;
  readonly key: string;
  readonly count: number;
}

/** How long a model keeps its place while another one waits for it. */
const turnMs = 30_000;
/** Beside interactive calls: enough for a job not to stand still. */
const besideInteractive = 1;

/** What is taken now. Models in memory go first, then those that have waited longest for room. */
export const planTurn = ({ lanes, models, runningOf, parallel, now }: TurnInput): ReadonlyArray<Pick> => {
  const ofModel = Map.groupBy(lanes, ({ key }) => key);
  const situation = (key: string) => models.get(key) ?? unknownModel;
  const waits = (key: string) => !situation(key).isResident && !situation(key).hasRoom;
  const isPaused = (key: string) => {
    const { isInteractive, turnSince } = situation(key);
    // What interactive calls keep in memory makes no room by standing still.
    if (isInteractive || turnSince === undefined || now - turnSince < turnMs) return false;
    return [...ofModel.keys()].some((other) => other !== key && waits(other));
  };
  const keys = [...ofModel.keys()]
    .filter((key) => !waits(key) && !isPaused(key))
    .toSorted(
      (a, b) =>
        Number(situation(b).isResident) - Number(situation(a).isResident) ||
        (situation(a).waitingSince ?? now) - (situation(b).waitingSince ?? now),
    );
  const picks: Pick[] = [];
  let loads = 0;
  for (const key of keys) {
    const { isResident, isInteractive, running } = situation(key);
    // One load at a time: whether there is room for another one is known when it has taken its own.
    if (!isResident && loads++ > 0) continue;
    const free = (isInteractive ? besideInteractive : parallel) - running;
    picks.push(...share(ofModel.get(key) ?? [], free, runningOf).map(({ lane, count }) => ({ lane, key, count })));
  }
  return picks;
};

const unknownModel: ModelSituation = {
  isResident: true,
  hasRoom: true,
  isInteractive: false,
  running: 0,
  turnSince: undefined,
  waitingSince: undefined,
};

/** Divides free places: one after another to the tenant that has fewest, and of a tenant's lanes to the first. */
const share = (
  lanes: ReadonlyArray<Lane>,
  free: number,
  runningOf: ReadonlyMap<string, number>,
): ReadonlyArray<{ readonly lane: Lane; readonly count: number }> => {
  const tenants = [...Map.groupBy(lanes, ({ tenant }) => tenant)].map(([tenant, own]) => ({
    running: runningOf.get(tenant) ?? 0,
    given: 0,
    lanes: own.toSorted((a, b) => b.priority - a.priority || a.place - b.place),
  }));
  for (let left = free; left > 0; left--) {
    const next = tenants.toSorted((a, b) => a.running + a.given - (b.running + b.given))[0];
    if (next !== undefined) next.given += 1;
  }
  // Where the first lane has fewer items than that, the next turn takes of the second.
  return tenants.flatMap(({ lanes: [lane], given }) =>
    lane !== undefined && given > 0 ? [{ lane, count: given }] : [],
  );
};
