/** The models that this service knows, and the engines that hold them. */
import { Context, type Effect, type Scope, type Stream } from "effect";

import type { LoadFailure, ModelBroken, ModelNotFound, ModelOperationConflict } from "../domain/errors.ts";
import type { ModelFacts, ModelState, ModelStatus } from "../domain/model.ts";
import type { Engine } from "../engine/Engine.ts";
import type { ChatTemplate } from "../prompt/chat-template.ts";
import type { Tokenizer } from "../prompt/Tokenizer.ts";
import type { Departure, Unloaded, UnloadOptions } from "./ModelSlot.ts";
import type { Footprint } from "./footprint.ts";
import type { Room } from "./Reservations.ts";

/** What is needed to make a prompt, without an engine. */
export interface PromptTools {
  readonly facts: ModelFacts;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate;
}

/** How the preload of one model went. */
export interface PreloadReport {
  /** As it was asked for. */
  readonly name: string;
  /** Undefined when the model is loaded. */
  readonly error: ModelNotFound | LoadFailure | undefined;
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
  readonly left: Readonly<Record<Departure, number>>;
}

/** A name is an id, an alias or a repository path; empty is the default model. */
export class Models extends Context.Service<
  Models,
  {
    /** In the catalog's order. */
    readonly list: Effect.Effect<ReadonlyArray<ModelStatus>>;
    readonly get: (name: string) => Effect.Effect<ModelStatus, ModelNotFound>;
    /** Read once for each model and kept. */
    readonly promptTools: (name: string) => Effect.Effect<PromptTools, ModelNotFound | ModelBroken>;
    /**
     * The model's engine, started by the first caller while the others wait for it; when all of them leave, the start is
     * cancelled. A start that failed is not repeated for some seconds. Held by the scope: a model with an open lease is
     * never evicted. Where there is no room, idle models make way, or it is waited for those in use.
     */
    readonly lease: (name: string) => Effect.Effect<Engine, ModelNotFound | LoadFailure, Scope.Scope>;
    /** Ends when the model is loaded; the options hold from then on. A start that failed is repeated at once. */
    readonly load: (name: string, options: LoadOptions) => Effect.Effect<ModelStatus, ModelNotFound | LoadFailure>;
    /** Whether it would fit, without loading it. */
    readonly fit: (name: string) => Effect.Effect<ModelFit, ModelNotFound | ModelBroken>;
    /** Ends when the engine's process has ended; goes on when its caller leaves. */
    readonly unload: (
      name: string,
      options: UnloadOptions,
    ) => Effect.Effect<Unloaded, ModelNotFound | ModelOperationConflict>;
    readonly unloadAll: (options: UnloadAllOptions) => Effect.Effect<UnloadedAll>;
    readonly pin: (name: string, pinned: boolean) => Effect.Effect<ModelStatus, ModelNotFound | ModelOperationConflict>;
    /** Loads one after another. A model that fails does not keep the others from loading. */
    readonly preload: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<PreloadReport>>;
    readonly pool: Effect.Effect<PoolStatus>;
    /** The state of every model by id: as it is now, and again whenever one changes. */
    readonly changes: Stream.Stream<ReadonlyMap<string, ModelState>>;
  }
>()("mlxd/models/Models") {}
