/** How engines are started: a driver for each kind of engine, and the service that finds them by name. */
import { Context, type Effect, type Scope } from "effect";

import type { BackendSettings } from "../config/read-backends.ts";
import type { ConversationOption } from "../domain/conversation-options.ts";
import type { ModelChanged } from "../domain/errors.ts";
import type { ModelCapabilities, ModelFacts, ServedModel } from "../domain/model.ts";
import type { PrepareStage } from "../domain/preparation.ts";
import type { Vocabulary } from "../prompt/Vocabulary.ts";
import type { PrefixUse } from "./PrefixUse.ts";
import type { ConversationEngine, Engine, TokenEngine } from "./Engine.ts";
import type { BackendFailure, EngineFault } from "./engine-failures.ts";

/** Whether tokens are drafted (speculative decoding), and by what. It does not change the output. */
export interface Drafting {
  readonly allowed: boolean;
  /** Absolute path of the draft model's folder; undefined for prompt lookup only. */
  readonly directory: string | undefined;
}

/**
 * Starts engines of one kind that take tokens. The scope owns the engine: closing it ends the process and gives its memory
 * back.
 */
export interface Driver {
  /** Version of the library that its engines compute with, as this build has it. */
  readonly version: string;
  /** Begins what the next start needs and no model, because a start is foreseen. The scope ends what no start has used. */
  readonly prepare?: Effect.Effect<void, never, Scope.Scope>;
  /**
   * Completes when the model is loaded and has passed its self-check.
   *
   * @param unchanged fails if the files no longer match the facts. It is run before and after each process reads the files,
   *   so that no process serves other files.
   * @param reservedBytes of the memory budget, for this engine
   */
  readonly start: (
    model: ModelFacts,
    vocabulary: Vocabulary,
    drafting: Drafting,
    unchanged: Effect.Effect<void, ModelChanged>,
    reservedBytes: number,
  ) => Effect.Effect<TokenEngine, EngineFault, Scope.Scope>;
}

/** What a driver is doing while it starts an engine whose start takes long. */
export type StartStage = Extract<PrepareStage, "server-starting" | "model-serving" | "model-loading">;

/** The progress of an engine that fetches a model. */
export interface FetchProgress {
  readonly bytesDone: number;
  /** The size of all parts that are known so far. */
  readonly bytesTotal: number;
  readonly filesDone: number;
  readonly filesTotal: number;
}

/** Starts engines of one kind that take conversations. No file of their models is read here. */
export interface ConversationDriver {
  readonly version: string;
  /** What its models can do. Embeddings and adapters are not supported for them. */
  readonly capabilities: ModelCapabilities;
  /** The task options that its engines support. Any other option is refused by its field. */
  readonly options: ReadonlySet<ConversationOption>;
  /**
   * Which of its models take images, if it has the option for them: most, those that their server says do, or those whose family
   * does. @default by the family
   */
  readonly images?: "most" | "told" | undefined;
  /** Whether its engines need none of the family's stop sequences to end a turn. @default false */
  readonly endsTurns?: boolean;
  /**
   * Makes the engine fetch a model that it does not have; false if it has the model already. Absent for engines that
   * cannot fetch models.
   */
  readonly fetch?: (
    model: ServedModel,
    backend: BackendSettings,
    onProgress: (progress: FetchProgress) => void,
  ) => Effect.Effect<boolean, BackendFailure>;
  /**
   * Completes when the engine takes conversations. The model's `source` is its name at the engine. The scope owns the
   * engine.
   *
   * @param backend where the model is, and how it is reached
   * @param onStage called when a stage begins, in the order of the type; never for an engine that needs no start
   */
  readonly start: (
    model: ServedModel,
    backend: BackendSettings,
    onStage: (stage: StartStage) => Effect.Effect<void>,
  ) => Effect.Effect<ConversationEngine, EngineFault, Scope.Scope>;
}

/** The drivers of this service. */
export class Engines extends Context.Service<
  Engines,
  {
    /** Begins what the next start of this engine needs and no model (`Driver.prepare`). */
    readonly prepare: (engine: string) => Effect.Effect<void, never, Scope.Scope>;
    /** Starts the engine of a model that takes tokens, with the driver that its facts name. Its output is read as text. */
    readonly start: (...model: Parameters<Driver["start"]>) => Effect.Effect<Engine, EngineFault, Scope.Scope>;
    /** The drivers of engines that take conversations, by the engine's canonical name. */
    readonly conversations: Readonly<Record<string, ConversationDriver>>;
    /** Version of the library that the engine computes with; empty for an engine without a driver. */
    readonly versionOf: (engine: string) => string;
    /** How the prefix caches of its engines are used. */
    readonly prefixUse: PrefixUse;
  }
>()("mlxd/engine/Engines") {}
