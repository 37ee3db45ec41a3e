import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { Clock, Effect } from "effect";

import type { CacheService } from "../../client/gen/mlxd/v1/cache_service_pb.ts";
import { EngineConfig } from "../config/EngineConfig.ts";
import { CurrentCall } from "../domain/Call.ts";
import { beginningOfTenant, type Caller, withinTenant } from "../domain/Caller.ts";
import { modelKey } from "../domain/model-identity.ts";
import type { ModelStatus } from "../domain/model.ts";
import { Models } from "../models/Models.ts";
import { Stats } from "../telemetry/Stats.ts";
import { Bridge } from "./Bridge.ts";
import { cacheLimitsToWire, cacheUsageToWire } from "./cache-to-wire.ts";
import { isResidentState, modelStates } from "./model-to-wire.ts";
import { unloadOptions } from "./unload-options.ts";

export const makeCacheService = Effect.gen(function* () {
  const bridge = yield* Bridge;
  const models = yield* Models;
  const stats = yield* Stats;
  const { prefixCacheBytes } = yield* EngineConfig;
  return {
    getCacheStats: (received, context) =>
      bridge.unary(received, context, ({ maxPartitions }) =>
        Effect.gen(function* () {
          const usage = yield* models.usage;
          return {
            since: timestampFromMs(stats.since),
            takenAt: timestampFromMs(yield* Clock.currentTimeMillis),
            ...cacheUsageToWire(usage, { prefixCacheBytes, maxPartitions: maxPartitions || defaultPartitions }),
          };
        }),
      ),
    listCachedModels: (received, context) =>
      bridge.unary(received, context, () =>
        Effect.gen(function* () {
          const resident = (yield* models.list)
            .filter(({ state }) => isResidentState[state])
            .toSorted((one, other) => (other.lastUsedAt ?? 0) - (one.lastUsedAt ?? 0))
            .map(cachedModelToWire);
          const takenAt = timestampFromMs(yield* Clock.currentTimeMillis);
          return { models: resident, count: resident.length, takenAt };
        }),
      ),
    removeCachedModel: (received, context) =>
      bridge.unary(received, context, (request) =>
        Effect.gen(function* () {
          const { status, unloaded, freedBytes } = yield* models.remove(request.key, yield* unloadOptions(request));
          return { key: keyOf(status), removed: unloaded, freedBytes };
        }),
      ),
    resizeCache: (received, context) =>
      bridge.unary(received, context, ({ maxCacheSize, maxMemoryGb }) =>
        Effect.gen(function* () {
          const resized = yield* models.resize({
            ...(maxCacheSize !== undefined && { maxLoaded: maxCacheSize }),
            ...(maxMemoryGb !== undefined && { budgetBytes: Math.floor(maxMemoryGb * 1024 ** 3) }),
          });
          const [before, current] = [resized.before, resized.limits].map(cacheLimitsToWire);
          const limits = [
            ["max_cache_size", before?.maxCacheSize, current?.maxCacheSize],
            ["max_memory_gb", before?.maxMemoryGb, current?.maxMemoryGb],
          ] as const;
          return {
            changes: limits.flatMap(([limit, was = 0, is = 0]) =>
              was === is ? [] : [{ limit, before: was, after: is }],
            ),
            ...(current && { current }),
            configured: cacheLimitsToWire(resized.configured),
            evicted: resized.evicted.map(keyOf),
            leaving: resized.leaving.map(keyOf),
            overLimits: resized.isOverLimits,
          };
        }),
      ),
    clearCache: (received, context) =>
      bridge.unary(received, context, ({ includePinned }) =>
        Effect.map(models.clear(includePinned), ({ removed, kept, freedBytes }) => ({
          removed: removed.map(keyOf),
          kept: kept.map(({ status, reason }) => ({ key: keyOf(status), reason })),
          freedBytes,
        })),
      ),
    clearPrefixCaches: (received, context) =>
      bridge.unary(received, context, ({ model, partition, tenant }) =>
        Effect.gen(function* () {
          const { caller } = yield* CurrentCall;
          const selection = selectionOf(caller, partition, tenant);
          const cleared = yield* models.clearPrefixes(model === "" ? undefined : model, selection);
          return {
            entries: cleared.reduce((sum, { entries }) => sum + entries, 0),
            bytes: cleared.reduce((sum, { bytes }) => sum + bytes, 0),
            models: cleared.map(({ status, entries, bytes }) => ({ key: keyOf(status), entries, bytes })),
          };
        }),
      ),
  } satisfies ServiceImpl<typeof CacheService>;
});

const defaultPartitions = 100;

const keyOf = ({ facts }: ModelStatus): string => modelKey(facts.engine, facts.id);

const cachedModelToWire = (status: ModelStatus) => ({
  key: keyOf(status),
  model: status.facts.id,
  state: modelStates[status.state],
  ...(status.loadedAt !== undefined && { loadedAt: timestampFromMs(status.loadedAt) }),
  accesses: status.useCount,
  ...(status.lastUsedAt !== undefined && { lastAccessAt: timestampFromMs(status.lastUsedAt) }),
  users: status.users,
  pinned: status.pinned,
  residentBytes: status.residentBytes,
  reservedBytes: status.reservedBytes,
  kvCacheBytes: status.kvCacheBytes,
  prefixCacheBytes: status.prefixCacheBytes,
});

const selectionOf = (caller: Caller, partition: string | undefined, tenant: string | undefined) => {
  if (partition !== undefined)
    return { partition: withinTenant({ ...caller, tenant: tenant ?? caller.tenant }, partition) };
  return tenant === undefined ? {} : { beginning: beginningOfTenant(tenant) };
};
