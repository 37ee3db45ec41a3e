/** Decides which items a host runs next. Pure; the runner carries out the plan. */
import type { Lane } from "./store/take-items.ts";

/** The state of a model that lanes wait for. */
export interface ModelSituation {
  /** Whether it is in memory or being loaded. True for an unknown name, too: its items fail without a model. */
  readonly isResident: boolean;
  /** Whether it could be loaded now by evicting only models that nobody would miss. */
  readonly hasRoom: boolean;
  /** Whether interactive calls use it. */
  readonly isInteractive: boolean;
  /** How many of its items this host runs. */
  readonly running: number;
  /**
   * Since when it has its turn, in epoch milliseconds like `waitingSince`; undefined while this host runs none of its
   * items.
   */
  readonly turnSince: number | undefined;
  /** Since when lanes have been waiting for it because there is no room for it. */
  readonly waitingSince: number | undefined;
}

export interface TurnInput {
  /** Lanes that may have ready items, each with the key of its model. */
  readonly lanes: ReadonlyArray<Lane & { readonly key: string }>;
  readonly models: ReadonlyMap<string, ModelSituation>;
  /** How many items this host runs, by tenant. */
  readonly runningOf: ReadonlyMap<string, number>;
  /** How many items of one model this host runs at once. */
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
/** Beside interactive calls: enough for a job to make progress. */
const besideInteractive = 1;

/** The items to take now. Models in memory go first, then those that have waited longest for room. */
export const planTurn = ({ lanes, models, runningOf, parallel, now }: TurnInput): ReadonlyArray<Pick> => {
  const ofModel = Map.groupBy(lanes, ({ key }) => key);
  const situation = (key: string) => models.get(key) ?? unknownModel;
  const waits = (key: string) => !situation(key).isResident && !situation(key).hasRoom;
  const isPaused = (key: string) => {
    const { isInteractive, turnSince } = situation(key);
    // A model that interactive calls keep in memory would not make room by pausing.
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
    // One load at a time: only afterwards is it known whether there is room for another.
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

/** Divides free places: one after another to the tenant with the fewest, and within a tenant to its first lane. */
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
  // If the first lane has fewer items than that, the next turn takes items from the second.
  return tenants.flatMap(({ lanes: [lane], given }) =>
    lane !== undefined && given > 0 ? [{ lane, count: given }] : [],
  );
};
