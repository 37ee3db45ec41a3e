/** The service's models and their engines. */
import { Context, type Effect, type Scope, type Stream } from "effect";

import type {
  ConfigurationInvalid,
  EntryExists,
  EntryNotFound,
  FilesUnusable,
  InvalidField,
  LoadFailure,
  ModelChanged,
  ModelOperationConflict,
  NotAllowed,
} from "../domain/errors.ts";
import type { EntryKind } from "../config/registered-entries.ts";
import type { ModelCondition, ModelStatus, ServedModel } from "../domain/model.ts";
import type { ConversationOption } from "../domain/conversation-options.ts";
import type { FamilyProfile } from "../domain/family.ts";
import type { ConversationEngine, Engine } from "../engine/Engine.ts";
import type { BackendFailure } from "../engine/engine-failures.ts";
import type { EngineBackend, EngineDevice } from "../engine/EngineStatus.ts";
import type { FetchProgress, StartStage } from "../engine/Engines.ts";
import type { Footprint } from "./memory/footprint.ts";
import type { ModelCache } from "./memory/ModelCache.ts";
import type { PromptTools } from "./prompting/PromptTools.ts";
import type { Unloaded, UnloadOptions, UnloadReason } from "./memory/retention.ts";
import type { Room } from "./memory/Reservations.ts";
import type { NameFailure } from "./names/resolve-name.ts";

/** A model as it was when it was looked up. Its name may belong to another model by now. */
export type ModelInUse = TokenModel | ConversationModel;

/**
 * The model's engine, leased until the scope closes. The first caller starts it while the others wait; if all of them leave,
 * the start is cancelled. A failed start is not repeated for some seconds. A model with an open lease is never evicted. If
 * there is no room, idle models are evicted, or the lease waits for models in use. If the model's files have changed since
 * it was looked up, it fails with ModelChanged, and the catalog has the new files by then.
 *
 * @param isTrial whether to leave it out of `useCount`
 */
type Lease<E> = (isTrial?: boolean) => Effect.Effect<E, LoadFailure, Scope.Scope>;

/** A model whose engine takes tokens. The service makes its prompts and reads its output with the model's files. */
export interface TokenModel extends PromptTools {
  readonly takes: "tokens";
  readonly lease: Lease<Engine>;
}

/** A model whose engine takes conversations and makes the prompts itself. */
export interface ConversationModel {
  readonly takes: "conversations";
  /** There are no files of it here. */
  readonly facts: ServedModel;
  readonly profile: FamilyProfile;
  /** The task options that its engine supports. Any other option is refused. */
  readonly options: ReadonlySet<ConversationOption>;
  /** The id of the model whose tokenizer and chat template count its prompts; undefined if they are estimated. */
  readonly tokenizer?: string | undefined;
  readonly lease: Lease<ConversationEngine>;
}

/** The result of preloading one model. */
export interface PreloadReport {
  /** The name in the request. */
  readonly name: string;
  /** Undefined when the model is loaded. */
  readonly error: NameFailure | LoadFailure | undefined;
}

export interface LoadOptions {
  /** Undefined leaves it unchanged; so does the next. */
  readonly pinned: boolean | undefined;
  /** 0: never. */
  readonly idleTtlMs: number | undefined;
}

export interface UnloadAllOptions extends UnloadOptions {
  readonly includePinned: boolean;
}

export interface UnloadedAll {
  readonly unloaded: ReadonlyArray<string>;
  /** The models that stayed in memory, and why. */
  readonly kept: ReadonlyArray<{ readonly model: string; readonly reason: string }>;
  readonly freedBytes: number;
}

/** How a model would fit beside those that are loaded. */
export interface ModelFit extends Room, Footprint {
  readonly budgetBytes: number;
  readonly maxLoadedModels: number;
}

/** What is in memory, and counts of loads and unloads since the service started. */
export interface PoolStatus {
  /** The device of the engine started last; undefined before the first one. */
  readonly device: EngineDevice | undefined;
  /** What that engine computes with; before the first one, the version that this build brings. */
  readonly backend: EngineBackend;
  /** Models that are loaded or loading. */
  readonly loaded: number;
  readonly maxLoaded: number;
  readonly reservedBytes: number;
  readonly budgetBytes: number;
  /** Loads that wait for memory. */
  readonly waiting: number;
  readonly loads: number;
  /** Caused by a broken checkpoint or an engine that did not start. */
  readonly loadFailures: number;
  /** Models that were unloaded, by reason. */
  readonly left: Readonly<Record<UnloadReason, number>>;
}

/** A change of a backend's or a model's entry. */
export interface EntryChange {
  readonly how: "create" | "update" | "delete";
  readonly kind: EntryKind;
  readonly name: string;
  /** By the keys of mlxd.yaml; undefined to delete it. */
  readonly declaration: Readonly<Record<string, unknown>> | undefined;
  /** Whether to write it to the configuration file as well. */
  readonly writesBack: boolean;
}

/** What a reload changed, by model id. */
export interface CatalogChange {
  readonly added: ReadonlyArray<string>;
  readonly removed: ReadonlyArray<string>;
  readonly changed: ReadonlyArray<string>;
}

/** A name is an id, an alias or a repository path, optionally with an engine prefix. An empty name is the default model. */
export class Models extends Context.Service<
  Models,
  ModelCache & {
    /** All models in the catalog's order, then those that left it and still finish what runs. */
    readonly list: Effect.Effect<ReadonlyArray<ModelStatus>>;
    readonly get: (name: string) => Effect.Effect<ModelStatus, NameFailure>;
    /** Looks a model up for a task. What is read of its files is cached. */
    readonly use: (name: string) => Effect.Effect<ModelInUse, NameFailure | FilesUnusable | ModelChanged>;
    /** Completes when the model is loaded; the options apply from then on. A failed start is repeated at once. */
    readonly load: (name: string, options: LoadOptions) => Effect.Effect<ModelStatus, NameFailure | LoadFailure>;
    /** Whether it would fit, without loading it. */
    readonly fit: (name: string) => Effect.Effect<ModelFit, NameFailure | FilesUnusable | ModelChanged>;
    /** Completes when the engine's process has ended. Continues when its caller leaves. */
    readonly unload: (
      name: string,
      options: UnloadOptions,
    ) => Effect.Effect<Unloaded, NameFailure | ModelOperationConflict>;
    /** Fails for a caller that may not use all models. */
    readonly unloadAll: (options: UnloadAllOptions) => Effect.Effect<UnloadedAll, NotAllowed>;
    readonly pin: (name: string, pinned: boolean) => Effect.Effect<ModelStatus, NameFailure | ModelOperationConflict>;
    /** Loads the models one after another. A failure does not stop the others. */
    readonly preload: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<PreloadReport>>;
    /**
     * Reads the configuration file and the model folder again. A model that is gone takes no new tasks, and its engine ends
     * when the running ones have finished. A model whose files or engine settings changed gets a new engine; one that
     * changed otherwise keeps its engine. If it fails, nothing changes.
     */
    readonly reload: Effect.Effect<CatalogChange, ConfigurationInvalid>;
    /**
     * Changes an entry as if it was changed in the configuration file, and reads the catalog again. It stays when the file is read
     * again, until the service ends. If it fails, nothing changes.
     */
    readonly changeEntry: (
      change: EntryChange,
    ) => Effect.Effect<CatalogChange, ConfigurationInvalid | EntryExists | EntryNotFound | InvalidField | NotAllowed>;
    /** As `reload`, for the model folder only: the configuration file is not read again. */
    readonly rescan: Effect.Effect<CatalogChange, ConfigurationInvalid>;
    /** Shows a model whose files are missing as `downloading` until the scope closes. Other models keep their state. */
    readonly showDownload: (name: string) => Effect.Effect<void, NameFailure, Scope.Scope>;
    /** Makes a model's engine fetch the model if it does not have it. False if there was nothing to fetch. */
    readonly fetch: (
      name: string,
      onProgress: (progress: FetchProgress) => void,
    ) => Effect.Effect<boolean, NameFailure | BackendFailure>;
    /**
     * Reports the stages of a model's start until the scope closes, beginning with the current one.
     *
     * @returns whether its start has stages; if not, nothing is reported
     */
    readonly followStart: (
      name: string,
      onStage: (stage: StartStage) => void,
    ) => Effect.Effect<boolean, NameFailure, Scope.Scope>;
    readonly pool: Effect.Effect<PoolStatus>;
    /** The condition of every model by id: the current ones, and all again whenever one changes. */
    readonly changes: Stream.Stream<ReadonlyMap<string, ModelCondition>>;
  }
>()("mlxd/models/Models") {}
