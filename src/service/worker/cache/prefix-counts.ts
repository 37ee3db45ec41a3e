/** Counts the lookups and the contents of the prefix cache by partition, for the report after each step. */
import type { PartitionReport, PrefixReport } from "../protocol/prefix-report.ts";

type Counts = { -readonly [K in Exclude<keyof PartitionReport, "partition">]: PartitionReport[K] };

/**
 * Sequences name their partition `adapter:partition`, since keys and values are an adapter's own. The service knows the
 * partition alone, so the counts of all adapters in it are added up.
 */
export class PrefixCounts {
  /** The partitions that have entries, or changes that were not reported yet. */
  private readonly partitions = new Map<string, Counts>();
  private readonly changed = new Set<string>();
  private entries = 0;
  private bytes = 0;

  /**
   * @param tokens that could have been found
   * @param found how many of them were
   */
  lookedUp(partition: string, tokens: number, found: number): void {
    const counts = this.touch(partition);
    counts.lookups += 1;
    counts.lookupTokens += tokens;
    counts.hits += found > 0 ? 1 : 0;
    counts.hitTokens += found;
  }

  /** An entry has come. */
  stored(partition: string): void {
    this.touch(partition).entries += 1;
    this.entries += 1;
  }

  /** @param isEvicted for lack of room */
  dropped(partition: string, isEvicted: boolean): void {
    const counts = this.touch(partition);
    counts.entries -= 1;
    counts.evictions += isEvicted ? 1 : 0;
    this.entries -= 1;
  }

  /** More is held, or less. */
  grew(partition: string, bytes: number): void {
    this.touch(partition).bytes += bytes;
    this.bytes += bytes;
  }

  /**
   * What has changed since the last call; undefined if nothing has. Lookups, hits and evictions then start at 0 again.
   */
  take(): PrefixReport | undefined {
    if (this.changed.size === 0) return undefined;
    const partitions: PartitionReport[] = [];
    for (const partition of this.changed) {
      const counts = this.countsOf(partition);
      partitions.push({ partition, ...counts });
      if (counts.entries === 0) this.partitions.delete(partition);
      else Object.assign(counts, nothingAsked);
    }
    this.changed.clear();
    return { entries: this.entries, bytes: this.bytes, partitions };
  }

  private touch(name: string): Counts {
    const partition = partitionOf(name);
    this.changed.add(partition);
    return this.countsOf(partition);
  }

  private countsOf(partition: string): Counts {
    const counts = this.partitions.get(partition) ?? { ...nothingAsked, entries: 0, bytes: 0 };
    this.partitions.set(partition, counts);
    return counts;
  }
}

/** The partition in a sequence's `adapter:partition`; no adapter's key has a colon. */
export const partitionOf = (name: string): string => name.slice(name.indexOf(":") + 1);

const nothingAsked = { lookups: 0, lookupTokens: 0, hits: 0, hitTokens: 0, evictions: 0 };
