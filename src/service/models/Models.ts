/** The models that this service knows, and the engines that hold them. */
import { Context, type Effect, type Scope, type Stream } from "effect";

import type { ConfigurationInvalid, ModelBroken } from "../domain/errors.ts";
import type { ModelFacts, ModelState, ModelStatus } from "../domain/model.ts";
import type { Engine } from "../engine/Engine.ts";
import type { ChatTemplate } from "../prompt/chat-template.ts";
import type { Tokenizer } from "../prompt/Tokenizer.ts";
import type { FamilyProfile } from "./families.ts";
import type { NameFailure } from "./resolve-name.ts";

/** What is needed to make a prompt, without an engine. */
export interface PromptTools {
  readonly facts: ModelFacts;
  readonly profile: FamilyProfile;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate;
}

/** How the preload of one model went. */
export interface PreloadReport {
  /** As it was asked for. */
  readonly name: string;
  /** Undefined when the model is loaded. */
  readonly error: NameFailure | ModelBroken | undefined;
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
    /** In the catalog's order. */
    readonly list: Effect.Effect<ReadonlyArray<ModelStatus>>;
    readonly get: (name: string) => Effect.Effect<ModelStatus, NameFailure>;
    /** Read once for each model and kept. */
    readonly promptTools: (name: string) => Effect.Effect<PromptTools, NameFailure | ModelBroken>;
    /**
     * The model's engine, started by the first caller while the others wait for it; the start goes on when they leave. A
     * start that failed is not repeated for some seconds. Held by the scope: a model with an open lease is not unloaded.
     * With facts it is the engine of that very model, also when the catalog has since given its name away.
     */
    readonly lease: (model: string | ModelFacts) => Effect.Effect<Engine, NameFailure | ModelBroken, Scope.Scope>;
    /** Loads one after another. A model that fails does not keep the others from loading. */
    readonly preload: (names: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<PreloadReport>>;
    /**
     * Reads the configuration file and the model folder anew. Models that are gone take nothing new, and their engines
     * end when what runs has ended; a model whose files or engine settings changed gets a new engine, one that changed
     * otherwise keeps its own. Where it fails nothing has changed.
     */
    readonly reload: Effect.Effect<CatalogChange, ConfigurationInvalid>;
    /** The state of every model by id: as it is now, and again whenever one changes. */
    readonly changes: Stream.Stream<ReadonlyMap<string, ModelState>>;
  }
>()("mlxd/models/Models") {}
