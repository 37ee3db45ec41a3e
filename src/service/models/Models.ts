/** The models that this service knows, and the engines that hold them. */
import { Context, type Effect, type Scope, type Stream } from "effect";

import type { ModelBroken, ModelNotFound } from "../domain/errors.ts";
import type { ModelFacts, ModelState, ModelStatus } from "../domain/model.ts";
import type { Engine } from "../engine/Engine.ts";
import type { ChatTemplate } from "../prompt/chat-template.ts";
import type { Tokenizer } from "../prompt/Tokenizer.ts";

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
  readonly error: ModelNotFound | ModelBroken | undefined;
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
     * The model's engine, started by the first caller while the others wait for it; the start goes on when they leave. A
     * start that failed is not repeated for some seconds. Held by the scope: a model with an open lease is not unloaded.
     */
    readonly lease: (name: string) => Effect.Effect<Engine, ModelNotFound | ModelBroken, Scope.Scope>;
    /** Loads one after another. A model that fails does not keep the others from loading. */
    readonly preload: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<PreloadReport>>;
    /** Takes in the models that came into the folder since it was read, and those whose files were broken then. */
    readonly rescan: Effect.Effect<void>;
    /** The state of every model by id: as it is now, and again whenever one changes. */
    readonly changes: Stream.Stream<ReadonlyMap<string, ModelState>>;
  }
>()("mlxd/models/Models") {}
