/**
 * Counts how the prefix caches of engines are used since the service started, by model and partition. The counts
 * survive the end of an engine's process and the unloading of its model.
 */
import type { PartitionReport, PrefixReport } from "../worker/protocol/prefix-report.ts";

export type PrefixCounts = Omit<PartitionReport, "partition">;

/** Of one model. */
export interface ModelPrefixes extends PrefixCounts {
  /** The partitions with counts, most recently used first. */
  readonly partitions: ReadonlyArray<PartitionReport>;
}

export class PrefixUse {
  private readonly models = new Map<string, ModelPrefixUse>();
  /** The sum over models that are no longer counted separately. */
  private readonly gone = nothing();

  /** Over all models. */
  get total(): PrefixCounts {
    const total = { ...this.gone };
    for (const { counts } of this.models.values()) addCounts(total, counts);
    return total;
  }

  /** Adds the report of an engine process after a step. */
  report(model: string, report: PrefixReport): void {
    this.useOf(model).add(report);
  }

  /** The process has ended, and its cached prefixes are gone. */
  processEnded(model: string): void {
    this.models.get(model)?.empty();
  }

  /** Undefined if the cache of this model was never used. */
  of(model: string): ModelPrefixes | undefined {
    return this.models.get(model)?.counts;
  }

  private useOf(model: string): ModelPrefixUse {
    const use = this.models.get(model) ?? new ModelPrefixUse();
    this.models.delete(model);
    this.models.set(model, use);
    for (const { counts } of dropOldest(this.models, mostModels)) addCounts(this.gone, counts);
    return use;
  }
}

type Mutable = { -readonly [K in keyof PrefixCounts]: PrefixCounts[K] };

class ModelPrefixUse {
  private readonly total = nothing();
  /** The one that was used least recently first. */
  private readonly partitions = new Map<string, Mutable>();

  get counts(): ModelPrefixes {
    const partitions = [...this.partitions].map(([partition, counts]) => ({ partition, ...counts })).toReversed();
    return { ...this.total, partitions };
  }

  add({ entries, bytes, partitions }: PrefixReport): void {
    for (const { partition, ...told } of partitions) {
      const counts = this.partitions.get(partition) ?? nothing();
      for (const key of counted) {
        counts[key] += told[key];
        this.total[key] += told[key];
      }
      counts.entries = told.entries;
      counts.bytes = told.bytes;
      this.partitions.delete(partition);
      this.partitions.set(partition, counts);
    }
    this.total.entries = entries;
    this.total.bytes = bytes;
    dropOldest(this.partitions, mostPartitions);
  }

  empty(): void {
    for (const counts of [this.total, ...this.partitions.values()]) {
      counts.entries = 0;
      counts.bytes = 0;
    }
  }
}

const counted = ["lookups", "lookupTokens", "hits", "hitTokens", "evictions"] as const;

const nothing = (): Mutable => ({
  lookups: 0,
  lookupTokens: 0,
  hits: 0,
  hitTokens: 0,
  evictions: 0,
  entries: 0,
  bytes: 0,
});

/**
 * Callers choose the names of partitions, and reloads bring new models. Beyond this number, the least recently used are
 * no longer counted separately.
 */
const mostPartitions = 1_000;
const mostModels = 1_000;

const dropOldest = <Value>(map: Map<string, Value>, most: number): ReadonlyArray<Value> => {
  const dropped: Value[] = [];
  for (const [key, value] of map) {
    if (map.size <= most) break;
    map.delete(key);
    dropped.push(value);
  }
  return dropped;
};

const addCounts = (to: Mutable, counts: PrefixCounts): void => {
  for (const key of [...counted, "entries", "bytes"] as const) to[key] += counts[key];
};
