import type { CallOptions } from "../call.ts";
import type { ModelState } from "../enum-names.ts";
import type {
  CachedModel as CachedModelMessage,
  CacheLimits as CacheLimitsMessage,
  ClearCacheResponse,
  ClearPrefixCachesResponse,
  GetCacheStatsResponse,
  RemoveCachedModelResponse,
  ResizeCacheResponse,
} from "../gen/mlxd/v1/cache_service_pb.ts";
import type { Plain } from "../plain.ts";

/** How models and prefix caches were used since the service started, and how much memory they take now. */
export type CacheStats = Plain<GetCacheStatsResponse>;

/** A model in memory. */
export interface CachedModel extends Omit<Plain<CachedModelMessage>, "state"> {
  /** Its state: loaded, loading or unloading. */
  readonly state: ModelState;
}

/** The limits, in models, GiB and bytes. */
export type CacheLimits = Plain<CacheLimitsMessage>;

/** The outcome of removing a model from memory. */
export type RemovedModel = Plain<RemoveCachedModelResponse>;

/** Which limits have changed, the limits in force, and the models that were unloaded for them. */
export type ResizedCache = Plain<ResizeCacheResponse>;

/** Which models were removed from memory, and which were not and why. */
export type ClearedCache = Plain<ClearCacheResponse>;

/** What was removed from prefix caches. */
export type ClearedPrefixCaches = Plain<ClearPrefixCachesResponse>;

/** Options of {@link CacheClient.stats}. */
export interface CacheStatsOptions extends CallOptions {
  /**
   * How many partitions of the prefix cache to return for each model, most recently used first; at most 1000.
   * @default 100
   */
  readonly maxPartitions?: number | undefined;
}

/** Options of {@link CacheClient.remove}. */
export interface RemoveModelOptions extends CallOptions {
  /**
   * How long running generations may take to finish, in milliseconds; the rest then end with `MODEL_UNLOADED`.
   * @default 30000
   */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * End running generations, and a load in progress, immediately.
   * @default false
   */
  readonly force?: boolean | undefined;
}

/** The new limits; at least one of them. */
export interface CacheResize {
  /**
   * How many models may be loaded at the same time, 1 to 20.
   * @default unchanged
   */
  readonly maxCacheSize?: number | undefined;
  /**
   * The memory budget in GiB, 1 to 100.
   * @default unchanged
   */
  readonly maxMemoryGb?: number | undefined;
}

/** Options of {@link CacheClient.clear}. */
export interface ClearCacheOptions extends CallOptions {
  /**
   * Clear pinned models too.
   * @default false
   */
  readonly includePinned?: boolean | undefined;
}

/** Options of {@link CacheClient.clearPrefixes}. */
export interface ClearPrefixesOptions extends CallOptions {
  /**
   * Only the cache of this model, by its key or any other of its names.
   * @default those of all models
   */
  readonly model?: string | undefined;
  /**
   * Only this partition; an empty string for tasks without one.
   * @default all partitions
   */
  readonly partition?: string | undefined;
  /**
   * Only the partitions of this tenant.
   * @default with `partition` the tenant of the caller, otherwise all tenants
   */
  readonly tenant?: string | undefined;
}

/** The models and prefix caches that a service has in memory. */
export interface CacheClient {
  /** How they were used since the service started, and how much memory they take now. */
  stats(options?: CacheStatsOptions): Promise<CacheStats>;

  /** The models in memory, most recently used first. */
  list(options?: CallOptions): Promise<readonly CachedModel[]>;

  /**
   * Removes a model from memory and waits until its memory is free. `removed` is false if the model was not in memory; a key
   * that no model has fails with `MODEL_NOT_FOUND`.
   *
   * @param key `engine:id`, as {@link CacheClient.list} returns it, or any other name of the model
   */
  remove(key: string, options?: RemoveModelOptions): Promise<RemovedModel>;

  /**
   * Changes the limits immediately and until the service ends. Idle models that exceed them are unloaded now, models in use
   * when they become idle; pinned ones stay.
   */
  resize(limits: CacheResize, options?: CallOptions): Promise<ResizedCache>;

  /** Removes all models from memory that no task uses. */
  clear(options?: ClearCacheOptions): Promise<ClearedCache>;

  /** Clears prefix caches. Running generations continue. */
  clearPrefixes(options?: ClearPrefixesOptions): Promise<ClearedPrefixCaches>;
}
