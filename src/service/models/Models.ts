/** The models that this service knows, and the engines that hold them. */
import { Context, type Effect, type Scope, type Stream } from "effect";

import type {
  ConfigurationInvalid,
  FilesUnusable,
  LoadFailure,
  ModelChanged,
  ModelOperationConflict,
} from "../domain/errors.ts";
import type { ModelCondition, ModelStatus, ServedModel } from "../domain/model.ts";
import type { ConversationOption } from "../domain/conversation-options.ts";
import type { FamilyProfile } from "../domain/family.ts";
import type { ConversationEngine, Engine, EngineBackend, EngineDevice } from "../engine/Engine.ts";
import type { Footprint } from "./memory/footprint.ts";
import type { PromptTools } from "./prompting/PromptTools.ts";
import type { Unloaded, UnloadOptions, UnloadReason } from "./memory/retention.ts";
import type { Room } from "./memory/Reservations.ts";
import type { NameFailure } from "./names/resolve-name.ts";

/** A model as it was when it was looked up; a name may be another one's by now. */
export type ModelInUse = TokenModel | ConversationModel;

/**
 * The model's engine, started by the first caller while the others wait for it; when all of them leave, the start is
 * cancelled. A start that failed is not repeated for some seconds. Held by the scope: a model with an open lease is never
 * evicted. Where there is no room, idle models make way, or it is waited for those in use. Where its files have changed since
 * it was looked up, it fails with ModelChanged, and the catalog has what is there now.
 *
 * @param isTrial whether it is none of the uses that `useCount` tells
 */
type Lease<E> = (isTrial?: boolean) => Effect.Effect<E, LoadFailure, Scope.Scope>;

/** The service makes its prompts and reads its output, with the files that it has of it. */
export interface TokenModel extends PromptTools {
  readonly takes: "tokens";
  readonly lease: Lease<Engine>;
}

/** Its engine makes the prompts itself. */
export interface ConversationModel {
  readonly takes: "conversations";
  /** There may be no files of it here. */
  readonly facts: ServedModel;
  readonly profile: FamilyProfile;
  /** What of a task its engine heeds, beside what is asked. Anything else is refused. */
  readonly options: ReadonlySet<ConversationOption>;
  readonly lease: Lease<ConversationEngine>;
}

/** How the preload of one model went. */
export interface PreloadReport {
  /** As it was asked for. */
  readonly name: string;
  /** Undefined when the model is loaded. */
  readonly error: NameFailure | LoadFailure | undefined;
}

export interface LoadOptions {
  /** Undefined leaves it as it is, as for the next. */
  readonly pinned: boolean | undefined;
  /** 0: never. */
  readonly idleTtlMs: number | undefined;
}

export interface UnloadAllOptions extends UnloadOptions {
  readonly includePinned: boolean;
}

export interface UnloadedAll {
  readonly unloaded: ReadonlyArray<string>;
  /** What stayed in memory, and why. */
  readonly kept: ReadonlyArray<{ readonly model: string; readonly reason: string }>;
  readonly freedBytes: number;
}

/** How a model would fit beside those that are loaded. */
export interface ModelFit extends Room, Footprint {
  readonly budgetBytes: number;
  readonly maxLoadedModels: number;
}

/** What is in memory, and how often that changed since start. */
export interface PoolStatus {
  /** Where the engine that was started last computes; undefined before the first one. */
  readonly device: EngineDevice | undefined;
  /** What it computes with; before the first one, the version that this build brings. */
  readonly backend: EngineBackend;
  /** Models that are loaded or loading. */
  readonly loaded: number;
  readonly maxLoaded: number;
  readonly reservedBytes: number;
  readonly budgetBytes: number;
  /** Loads that wait for room. */
  readonly waiting: number;
  readonly loads: number;
  /** By a broken checkpoint, or an engine that did not start. */
  readonly loadFailures: number;
  /** Models that went, by why. */
  readonly left: Readonly<Record<UnloadReason, number>>;
}

/** What a reload changed, by model id. */
export interface CatalogChange {
  readonly added: ReadonlyArray<string>;
  readonly removed: ReadonlyArray<string>;
  readonly changed: ReadonlyArray<string>;
}

/** A name is an id, an alias or a repository path, all also with an engine before it; empty is the default model. */
export class Models extends Context.Service<
  Models,
  {
    /** In the catalog's order; then those that are no longer in it and finish what runs. */
    readonly list: Effect.Effect<ReadonlyArray<ModelStatus>>;
    readonly get: (name: string) => Effect.Effect<ModelStatus, NameFailure>;
    /** To ask a model something. What is read of its files is read once and kept. */
    readonly use: (name: string) => Effect.Effect<ModelInUse, NameFailure | FilesUnusable | ModelChanged>;
    /** Ends when the model is loaded; the options hold from then on. A start that failed is repeated at once. */
    readonly load: (name: string, options: LoadOptions) => Effect.Effect<ModelStatus, NameFailure | LoadFailure>;
    /** Whether it would fit, without loading it. */
    readonly fit: (name: string) => Effect.Effect<ModelFit, NameFailure | FilesUnusable | ModelChanged>;
    /** Ends when the engine's process has ended; goes on when its caller leaves. */
    readonly unload: (
      name: string,
      options: UnloadOptions,
    ) => Effect.Effect<Unloaded, NameFailure | ModelOperationConflict>;
    readonly unloadAll: (options: UnloadAllOptions) => Effect.Effect<UnloadedAll>;
    readonly pin: (name: string, pinned: boolean) => Effect.Effect<ModelStatus, NameFailure | ModelOperationConflict>;
    /** Loads one after another. A model that fails does not keep the others from loading. */
    readonly preload: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<PreloadReport>>;
    /**
     * Reads the configuration file and the model folder anew. Models that are gone take nothing new, and their engines
     * end when what runs has ended; a model whose files or engine settings changed gets a new engine, one that changed
     * otherwise keeps its own. Where it fails nothing has changed.
     */
    readonly reload: Effect.Effect<CatalogChange, ConfigurationInvalid>;
    /** As a reload, of the model folder alone: what the file said when it was last read still holds. */
    readonly rescan: Effect.Effect<CatalogChange, ConfigurationInvalid>;
    /** Until the scope closes, the state of a model whose files are not here is `downloading`; of others it stays. */
    readonly showDownload: (name: string) => Effect.Effect<void, NameFailure, Scope.Scope>;
    readonly pool: Effect.Effect<PoolStatus>;
    /** The condition of every model by id: as it is now, and again whenever one changes. */
    readonly changes: Stream.Stream<ReadonlyMap<string, ModelCondition>>;
  }
>()("mlxd/models/Models") {}
