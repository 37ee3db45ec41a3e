/** Converts the statistics of caches to their messages. */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

import { partsOfName } from "../domain/Caller.ts";
import { modelKey } from "../domain/model-identity.ts";
import type { ModelStatus } from "../domain/model.ts";
import type { PrefixCounts } from "../engine/PrefixUse.ts";
import type { CacheUsage, ModelUsage, UseCounts } from "../models/memory/ModelCache.ts";

interface WireOptions {
  /** Of each model. */
  readonly prefixCacheBytes: number;
  readonly maxPartitions: number;
}

export const cacheUsageToWire = (usage: CacheUsage, { prefixCacheBytes, maxPartitions }: WireOptions) => ({
  models: {
    ...usesToWire(usage.total),
    loaded: usage.loaded,
    reservedBytes: usage.reservedBytes,
    residentBytes: sumOf(usage.models.map(({ status }) => status.residentBytes)),
    limits: cacheLimitsToWire(usage.limits),
    configured: cacheLimitsToWire(usage.configured),
    models: usage.models.map(modelUseToWire),
  },
  prefixes: {
    total: prefixCountsToWire(usage.prefixes),
    limitBytes: prefixCacheBytes,
    models: usage.models.flatMap(({ status, prefixes }) =>
      prefixes === undefined
        ? []
        : [
            {
              ...namesOf(status),
              total: prefixCountsToWire(prefixes),
              partitions: prefixes.partitions.slice(0, maxPartitions).map(({ partition, ...counts }) => {
                const { tenant, name } = partsOfName(partition);
                return { tenant, partition: name, counts: prefixCountsToWire(counts) };
              }),
              knownPartitions: prefixes.partitions.length,
            },
          ],
    ),
  },
});

export const cacheLimitsToWire = ({ maxLoaded, budgetBytes }: CacheUsage["limits"]) => ({
  maxCacheSize: maxLoaded,
  maxMemoryGb: budgetBytes / 1024 ** 3,
  maxMemoryBytes: budgetBytes,
});

const modelUseToWire = ({ status, use }: ModelUsage) => ({
  ...namesOf(status),
  loaded: status.loadedAt !== undefined,
  ...(use !== undefined && usesToWire(use)),
  ...(use?.lastLookupAt !== undefined && { lastAccessAt: timestampFromMs(use.lastLookupAt) }),
  reservedBytes: status.reservedBytes,
  residentBytes: status.residentBytes,
});

const usesToWire = ({ lookups, hits, loads, loadFailures, left }: UseCounts) => ({
  lookups,
  hits,
  hitRate: rate(hits, lookups),
  loads,
  loadFailures,
  removals: {
    total: sumOf(Object.values(left)),
    room: left.eviction,
    limits: left.limits,
    idle: left.idle,
    call: left.unload,
    catalog: left.removal,
    failure: left.failure,
  },
});

const prefixCountsToWire = (counts: PrefixCounts) => ({
  lookups: counts.lookups,
  hits: counts.hits,
  hitRate: rate(counts.hits, counts.lookups),
  lookupTokens: counts.lookupTokens,
  hitTokens: counts.hitTokens,
  entries: counts.entries,
  bytes: counts.bytes,
  evictions: counts.evictions,
});

const namesOf = ({ facts: { engine, id } }: ModelStatus) => ({ key: modelKey(engine, id), model: id });

const rate = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole);

const sumOf = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, each) => sum + each, 0);
