import { createClient, type Transport } from "@connectrpc/connect";
import { type Caller, checkOptions } from "../caller.ts";
import { checkFlag, checkKeys, checkMs, checkNumber, checkObject, checkText, checkWhole } from "../check.ts";
import { durationFromMs } from "../durations.ts";
import {
  CachedModelSchema,
  CacheService,
  ClearCacheResponseSchema,
  ClearPrefixCachesResponseSchema,
  GetCacheStatsResponseSchema,
  RemoveCachedModelResponseSchema,
  ResizeCacheResponseSchema,
} from "../gen/mlxd/v1/cache_service_pb.ts";
import { toPlain } from "../plain.ts";
import type { CacheClient, CachedModel } from "./cache.ts";

/** The calls of the CacheService. */
export const createCacheClient = (caller: Caller, transport: Transport): CacheClient => {
  const raw = createClient(CacheService, transport);
  return {
    stats: async (options = {}) => {
      const { maxPartitions = 0, ...call } = checkOptions(options);
      const request = { maxPartitions: checkWhole(maxPartitions, "maxPartitions", 0, 1_000) };
      const stats = await caller.unary(call, (connect) => raw.getCacheStats(request, connect));
      return toPlain(GetCacheStatsResponseSchema, stats);
    },

    list: async (options = {}) => {
      const { models } = await caller.unary(options, (connect) => raw.listCachedModels({}, connect));
      // toPlain returns enum values as string; the types have the same names.
      return models.map((model) => toPlain(CachedModelSchema, model) as CachedModel);
    },

    remove: async (key, options = {}) => {
      const { drainTimeoutMs, force = false, ...call } = checkOptions(options);
      const request = {
        key: checkText(key, "key"),
        force: checkFlag(force, "force"),
        ...(drainTimeoutMs !== undefined && {
          drainTimeout: durationFromMs(checkMs(drainTimeoutMs, "drainTimeoutMs")),
        }),
      };
      const removed = await caller.unary(call, (connect) => raw.removeCachedModel(request, connect));
      return toPlain(RemoveCachedModelResponseSchema, removed);
    },

    resize: async (limits, options = {}) => {
      checkKeys(checkObject(limits, "limits"), "limits", ["maxCacheSize", "maxMemoryGb"], "limit");
      const { maxCacheSize, maxMemoryGb } = limits;
      const request = {
        ...(maxCacheSize !== undefined && { maxCacheSize: checkWhole(maxCacheSize, "maxCacheSize", 1, 20) }),
        ...(maxMemoryGb !== undefined && { maxMemoryGb: checkNumber(maxMemoryGb, "maxMemoryGb") }),
      };
      const resized = await caller.unary(options, (connect) => raw.resizeCache(request, connect));
      return toPlain(ResizeCacheResponseSchema, resized);
    },

    clear: async (options = {}) => {
      const { includePinned = false, ...call } = checkOptions(options);
      const request = { includePinned: checkFlag(includePinned, "includePinned") };
      const cleared = await caller.unary(call, (connect) => raw.clearCache(request, connect));
      return toPlain(ClearCacheResponseSchema, cleared);
    },

    clearPrefixes: async (options = {}) => {
      const { model = "", partition, tenant, ...call } = checkOptions(options);
      const request = {
        model: checkText(model, "model"),
        ...(partition !== undefined && { partition: checkText(partition, "partition") }),
        ...(tenant !== undefined && { tenant: checkText(tenant, "tenant") }),
      };
      const cleared = await caller.unary(call, (connect) => raw.clearPrefixCaches(request, connect));
      return toPlain(ClearPrefixCachesResponseSchema, cleared);
    },
  };
};
