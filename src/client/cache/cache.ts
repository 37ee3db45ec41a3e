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

/** How models and prefix caches were used since the service started, and what they take now. */
export type CacheStats = Plain<GetCacheStatsResponse>;

/** A model that is in memory. */
export interface CachedModel extends Omit<Plain<CachedModelMessage>, "state"> {
  /** Where it stands: it is loaded, loading or on its way out. */
  readonly state: ModelState;
}

/** How much may be in memory; in models, GiB and bytes. */
export type CacheLimits = Plain<CacheLimitsMessage>;

/** What became of a model that was to leave memory. */
export type RemovedModel = Plain<RemoveCachedModelResponse>;

/** Which limits have changed, what is in force, and which models left for it. */
export type ResizedCache = Plain<ResizeCacheResponse>;

/** Which models have left memory, and which stayed and why. */
export type ClearedCache = Plain<ClearCacheResponse>;

/** What was dropped of prefix caches. */
export type ClearedPrefixCaches = Plain<ClearPrefixCachesResponse>;

/** Options of {@link CacheClient.stats}. */
export interface CacheStatsOptions extends CallOptions {
  /**
   * Partitions of the prefix cache to tell for each model, those that were used last first; at most 1000.
   * @default 100
   */
  readonly maxPartitions?: number | undefined;
}

/** Options of {@link CacheClient.remove}. */
export interface RemoveModelOptions extends CallOptions {
  /**
   * How long running generations may take to finish, in milliseconds; those left then end with `MODEL_UNLOADED`.
   * @default 30000
   */
  readonly drainTimeoutMs?: number | undefined;
  /**
   * End running generations at once, and a load that is under way.
   * @default false
   */
  readonly force?: boolean | undefined;
}

/** The new limits: one of them at least. */
export interface CacheResize {
  /**
   * Models that may be loaded at once, 1 to 20.
   * @default as it is
   */
  readonly maxCacheSize?: number | undefined;
  /**
   * The memory budget in GiB, 1 to 100.
   * @default as it is
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
   * Only this model's, by its key or any other of its names.
   * @default every model's
   */
  readonly model?: string | undefined;
  /**
   * Only this partition's, as tasks name it; an empty text for tasks that name none.
   * @default every partition's
   */
  readonly partition?: string | undefined;
  /**
   * Only this tenant's.
   * @default of a partition the caller's own tenant's, else every tenant's
   */
  readonly tenant?: string | undefined;
}

/** What a service keeps in memory: models, and what was computed of prompts. */
export interface CacheClient {
  /** How it was used since the service started, and what it takes now. */
  stats(options?: CacheStatsOptions): Promise<CacheStats>;

  /** The models that are in memory, the one that was used last first. */
  list(options?: CallOptions): Promise<readonly CachedModel[]>;

  /**
   * Takes a model out of memory and waits until that is free. Its `removed` is false where the model was not in memory; a key
   * that no model has fails with `MODEL_NOT_FOUND`.
   *
   * @param key `engine:id`, as {@link CacheClient.list} tells it, or any other name of the model
   */
  remove(key: string, options?: RemoveModelOptions): Promise<RemovedModel>;

  /**
   * Changes how many models may be in memory and how much they may take, in force at once and until the service ends. Idle
   * models that are too many leave now; models in use leave when they become idle, and pinned ones stay.
   */
  resize(limits: CacheResize, options?: CallOptions): Promise<ResizedCache>;

  /** Takes every model out of memory that no task uses. */
  clear(options?: ClearCacheOptions): Promise<ClearedCache>;

  /** Drops what prefix caches keep. What runs goes on. */
  clearPrefixes(options?: ClearPrefixesOptions): Promise<ClearedPrefixCaches>;
}
