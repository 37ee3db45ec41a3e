/** The models in memory as a cache that an operator can inspect, resize and clear. */
import type { Effect } from "effect";

import type { InvalidField, ModelNotFound, ModelOperationConflict, NotAllowed } from "../../domain/errors.ts";
import type { ModelStatus } from "../../domain/model.ts";
import type { ClearedPrefixes, PrefixSelection } from "../../engine/Engine.ts";
import type { ModelPrefixes, PrefixCounts } from "../../engine/PrefixUse.ts";
import type { RoomLimits } from "./plan-room.ts";
import type { Unloaded, UnloadOptions, UnloadReason } from "./retention.ts";

/** Counted since the service started. */
export interface UseCounts {
  /** Tasks that requested the model. Smoke tests and calls that load it do not count. */
  readonly lookups: number;
  /** Tasks that found it loaded. */
  readonly hits: number;
  readonly loads: number;
  /** Caused by a broken checkpoint or an engine that did not start. */
  readonly loadFailures: number;
  /** Times that it was unloaded, by reason. */
  readonly left: Readonly<Record<UnloadReason, number>>;
  /** When a task last requested the model, in epoch milliseconds. */
  readonly lastLookupAt: number | undefined;
}

export interface CacheUsage {
  readonly total: UseCounts;
  readonly limits: RoomLimits;
  readonly configured: RoomLimits;
  /** Models that are loaded or loading, and the bytes reserved for them. */
  readonly loaded: number;
  readonly reservedBytes: number;
  /** Over all models, also those that are not in the catalog any more. */
  readonly prefixes: PrefixCounts;
  /** Every model of the catalog that was used or is in memory. */
  readonly models: ReadonlyArray<ModelUsage>;
}

export interface ModelUsage {
  readonly status: ModelStatus;
  readonly use: UseCounts | undefined;
  /** Undefined where its prefix cache was never used. */
  readonly prefixes: ModelPrefixes | undefined;
}

interface Resized {
  readonly before: RoomLimits;
  /** In force. */
  readonly limits: RoomLimits;
  /** As the service was configured at its start. */
  readonly configured: RoomLimits;
  /** Models that were idle and have left memory. */
  readonly evicted: ReadonlyArray<ModelStatus>;
  /** Models in use that leave as soon as they are idle. */
  readonly leaving: ReadonlyArray<ModelStatus>;
  /** Whether more is taken than the limits allow, also as pinned models stay. */
  readonly isOverLimits: boolean;
}

interface Removed extends Unloaded {
  readonly status: ModelStatus;
}

interface Cleared {
  readonly removed: ReadonlyArray<ModelStatus>;
  /** Those that stayed, and why. */
  readonly kept: ReadonlyArray<{ readonly status: ModelStatus; readonly reason: string }>;
  readonly freedBytes: number;
}

interface PrefixesOfModel extends ClearedPrefixes {
  readonly status: ModelStatus;
}

export interface ModelCache {
  readonly usage: Effect.Effect<CacheUsage>;
  /**
   * Takes effect immediately, and completes when the idle models that it evicts have left memory. The limits cannot
   * exceed what the machine allows.
   */
  readonly resize: (changes: Partial<RoomLimits>) => Effect.Effect<Resized, InvalidField | NotAllowed>;
  /** As `Models.unload`, by the model's key or another name. An unknown engine in it is an unknown model. */
  readonly remove: (
    key: string,
    options: UnloadOptions,
  ) => Effect.Effect<Removed, ModelNotFound | NotAllowed | ModelOperationConflict>;
  /** Unloads every model that no task uses, pinned ones apart. */
  readonly clear: (includePinned: boolean) => Effect.Effect<Cleared, NotAllowed>;
  /** Clears prefix caches: of one model, by any of its names, or of all models. */
  readonly clearPrefixes: (
    model: string | undefined,
    selection: PrefixSelection,
  ) => Effect.Effect<ReadonlyArray<PrefixesOfModel>, ModelNotFound | NotAllowed>;
}
