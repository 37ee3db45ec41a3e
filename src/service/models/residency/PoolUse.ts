/** How the models in memory are used, counted since the service started: in all, and by model also across its unloads. */
import type { Clock } from "effect";

import type { UseCounts } from "../memory/ModelCache.ts";
import type { UnloadReason } from "../memory/retention.ts";

export class PoolUse {
  private readonly clock: Clock.Clock;
  private readonly all = nothingYet();
  /** The one that was used least recently first. */
  private readonly models = new Map<string, MutableCounts>();

  constructor(clock: Clock.Clock) {
    this.clock = clock;
  }

  get total(): UseCounts {
    return copy(this.all);
  }

  get byModel(): ReadonlyMap<string, UseCounts> {
    return new Map([...this.models].map(([model, counts]) => [model, copy(counts)]));
  }

  lookedUp(model: string, isHit: boolean): void {
    this.count(model, (counts) => {
      counts.lookups += 1;
      if (isHit) counts.hits += 1;
      counts.lastLookupAt = this.clock.currentTimeMillisUnsafe();
    });
  }

  loaded(model: string, exit: "loaded" | "failed"): void {
    this.count(model, (counts) => (counts[exit === "loaded" ? "loads" : "loadFailures"] += 1));
  }

  left(model: string, why: UnloadReason): void {
    this.count(model, (counts) => (counts.left[why] += 1));
  }

  private count(model: string, add: (counts: MutableCounts) => void): void {
    const counts = this.models.get(model) ?? nothingYet();
    this.models.delete(model);
    this.models.set(model, counts);
    add(counts);
    add(this.all);
    for (const oldest of this.models.keys()) {
      if (this.models.size <= mostModels) break;
      this.models.delete(oldest);
    }
  }
}

interface MutableCounts {
  lookups: number;
  hits: number;
  loads: number;
  loadFailures: number;
  readonly left: Record<UnloadReason, number>;
  lastLookupAt: number | undefined;
}

const nothingYet = (): MutableCounts => ({
  lookups: 0,
  hits: 0,
  loads: 0,
  loadFailures: 0,
  left: { eviction: 0, limits: 0, idle: 0, unload: 0, removal: 0, failure: 0 },
  lastLookupAt: undefined,
});

const copy = (counts: MutableCounts): UseCounts => ({ ...counts, left: { ...counts.left } });

/** Reloads of the catalog may bring ever new ones. */
const mostModels = 1_000;
