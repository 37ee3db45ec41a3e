/** The models that this service knows, and the engines that hold them. */
import { Context, type Effect, type Scope } from "effect";

import type { ModelBroken, ModelNotFound } from "../domain/errors.ts";
import type { ModelFacts, ModelStatus } from "../domain/model.ts";
import type { Engine } from "../engine/Engine.ts";
import type { ChatTemplate } from "../prompt/chat-template.ts";
import type { Tokenizer } from "../prompt/Tokenizer.ts";

/** What is needed to make a prompt, without an engine. */
export interface PromptTools {
  readonly facts: ModelFacts;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate;
}

export class Models extends Context.Service<
  Models,
  {
    /** In the catalog's order. */
    readonly list: Effect.Effect<ReadonlyArray<ModelStatus>>;
    /** By id, alias or repository path; empty is the default model. */
    readonly get: (name: string) => Effect.Effect<ModelStatus, ModelNotFound>;
    /** Read once for each model and kept. */
    readonly promptTools: (name: string) => Effect.Effect<PromptTools, ModelNotFound | ModelBroken>;
    /**
     * The model's engine, started by the first caller while the others wait for it. Held by the scope: a model with
     * an open lease is not unloaded.
     */
    readonly lease: (id: string) => Effect.Effect<Engine, ModelNotFound | ModelBroken, Scope.Scope>;
  }
>()("mlxd/models/Models") {}
