/** The interface between the pipeline and whatever computes tokens. */
import { Context, type Effect, type Scope, type Stream } from "effect";

import type {
  AdapterBroken,
  EngineLost,
  EngineRestarting,
  EngineStartFailed,
  EngineUnavailable,
  InsufficientMemory,
  InvalidField,
  ModelBroken,
  ModelChanged,
  ModelUnloaded,
  OutOfMemory,
} from "../domain/errors.ts";
import type {
  CachePolicy,
  EffectiveParameters,
  FinishReason,
  GenerationInput,
  LogitBias,
  OutputConstraint,
  OutputWarning,
  ReasoningOptions,
  StopMatch,
  TokenLogprob,
  ToolCallDelta,
} from "../domain/generation.ts";
import type { ConversationOption } from "../domain/conversation-options.ts";
import type { AdapterFacts, ModelCapabilities, ModelFacts, ServedModel } from "../domain/model.ts";
import type { OutputReading } from "../output/parser.ts";
import type { StopText } from "../output/stop-texts.ts";
import type { Vocabulary } from "../prompt/Vocabulary.ts";
import {
  type EmbeddingRequest,
  noMemory,
  type ReasoningLimit,
  type SequenceConstraint,
  type SequenceScheduling,
  type TokenLogprobs,
  type WorkerMemory,
} from "../worker/protocol.ts";

/** What a token engine is asked for. */
export interface TokenRequest {
  /** Unique among the running ones; names the generation in logs. */
  readonly id: string;
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly parameters: EffectiveParameters;
  readonly logitBias: ReadonlyArray<LogitBias>;
  /** Alternatives to tell beside each token's logprob; undefined: no logprobs. */
  readonly topLogprobs: number | undefined;
  /** Whether to tell the prompt's logprobs, with as many alternatives. */
  readonly promptLogprobs: boolean;
  readonly reasoningLimit: ReasoningLimit | undefined;
  readonly constraint?: SequenceConstraint;
  /** From admission on; then the partial result ends with `time-budget`. */
  readonly timeBudgetMs: number | undefined;
  readonly scheduling: SequenceScheduling;
  readonly cache: CachePolicy;
  /** Applied to this request alone. */
  readonly adapter: AdapterFacts | undefined;
  /** Nothing of it goes out before its end, so that it can be computed once more where a process dies; @default false */
  readonly whole?: boolean;
}

/** The same with how its tokens are read as text. */
export interface EngineRequest extends TokenRequest {
  /** End-of-sequence tokens among `parameters.stopTokenIds`: they decide which finish reason is told. */
  readonly eosTokenIds: ReadonlyArray<number>;
  readonly includeStopInOutput: boolean;
  /** What becomes of `parameters.stopSequences`. @default they stop wherever they stand */
  readonly stops?: ReadonlyArray<StopText>;
  /** What the output consists of beside text. */
  readonly reading: OutputReading;
  /** Whether output that fills the context ends with `context-length` rather than `max-output-tokens`. */
  readonly fillsContext: boolean;
}

/** A text of which the vector is wanted. */
export interface EngineEmbedding extends EmbeddingRequest {
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly scheduling: SequenceScheduling;
}

/** What a token engine tells of one generation. */
export type TokenEvent =
  /** It took the request in; told once more where it is computed once more. */
  | { readonly type: "admitted"; readonly cachedPromptTokens: number }
  /** Once, before any token, if asked for: one for each token of the prompt, undefined for the first. */
  | { readonly type: "prompt"; readonly logprobs: ReadonlyArray<TokenLogprobs | undefined> }
  | {
      readonly type: "token";
      readonly tokenId: number;
      /** If asked for. */
      readonly logprobs: TokenLogprobs | undefined;
      /** Tokens that were drafted since the token before, and whether this is one of them; undefined: none. */
      readonly drafts: DraftCounts | undefined;
    }
  /** The last. */
  | { readonly type: "finished"; readonly reason: TokensEnd };

/** Why an engine writes no more. */
export type TokensEnd =
  | "stop-token"
  | "constraint-complete"
  | "max-output-tokens"
  | "time-budget"
  /** By CancelGeneration. */
  | "cancelled";

interface DraftCounts {
  readonly drafted: number;
  readonly accepted: number;
}

/** The engine took the request in; sent once. */
interface EngineAdmitted {
  readonly type: "admitted";
  readonly cachedPromptTokens: number;
  /** Told by an engine that makes the prompt itself. */
  readonly promptTokens?: number;
}

/** The prompt's logprobs, if asked for: once, before any output. */
interface EnginePrompt {
  readonly type: "prompt";
  readonly tokens: ReadonlyArray<TokenLogprob>;
}

/** What one step of the engine brought. */
interface EngineOutput {
  readonly type: "output";
  /** Whole code points; empty while a character or a stop sequence is incomplete. */
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ReadonlyArray<ToolCallDelta>;
  /** Output tokens that it brings, whether or not their ids are known. */
  readonly tokens: number;
  /** How many of `tokenIds` are reasoning, without those that open and close it. */
  readonly reasoningTokens: number;
  /** The ids of its tokens; none where the engine does not tell them. */
  readonly tokenIds: ReadonlyArray<number>;
  /** Tokens that were drafted since the event before, and how many of this event's were; undefined: none. */
  readonly drafts?: DraftCounts;
  /** One for each token, if asked for. */
  readonly logprobs: ReadonlyArray<TokenLogprob>;
}

/** The output is complete; the last event. */
interface EngineFinished {
  readonly type: "finished";
  readonly reason: FinishReason;
  readonly matched: StopMatch | undefined;
  readonly cachedPromptTokens: number;
  readonly warnings: ReadonlyArray<OutputWarning>;
}

export type EngineEvent = EngineAdmitted | EnginePrompt | EngineOutput | EngineFinished;
/** `InvalidField`: the constraint cannot be held to with this model's vocabulary. */
export type EngineFailure =
  | AdapterBroken
  | EngineFault
  | EngineLost
  | EngineRestarting
  | InsufficientMemory
  | InvalidField
  | ModelUnloaded;

/**
 * Why an engine is given up: with this checkpoint, or on this machine as it is now, it does not run; or the checkpoint is
 * another one by now.
 */
export type EngineFault = ModelBroken | ModelChanged | EngineStartFailed | EngineUnavailable | OutOfMemory;

/** `restarting`: there is no process that takes requests. `stalled`: there is one, and it delivers nothing. */
export type EngineHealth = "serving" | "restarting" | "stalled";

export { noMemory };

/** What an engine computes with, as it says itself. */
export interface EngineBackend {
  readonly version: string;
  /** How it is called; empty where there is one way only. */
  readonly binding: string;
  /** Why it is called that way. */
  readonly reason: string;
}

/** Where an engine computes. */
export type EngineDevice = "cpu" | "metal";

/** What an engine's process has of the machine's memory. */
type EngineMemory = WorkerMemory;

/**
 * Of the memory budget. On a Mac what the GPU works with is not among the pages that the system counts as the process's
 * own, or only a part of it.
 */
export const takenBytes = ({ device, residentBytes, mlxActiveBytes, mlxCacheBytes }: EngineStatus): number =>
  device === "metal" ? Math.max(residentBytes, mlxActiveBytes + mlxCacheBytes) : residentBytes;

export interface EngineStatus extends EngineMemory {
  /** Undefined before its first process has said it. */
  readonly device: EngineDevice | undefined;
  readonly backend: EngineBackend | undefined;
  readonly restarts: number;
}

/** What every loaded model has, whatever it takes. */
interface LoadedModel {
  /** Ends a request early: it finishes with `cancelled`. False when none of that id runs. */
  readonly cancel: (id: string) => Effect.Effect<boolean>;
  /** As it is now, and each change. `serving` means that tokens arrive. */
  readonly health: Stream.Stream<EngineHealth>;
  /** Succeeds when the engine has been given up: from then on it fails every request with the same. Its scope has to be closed. */
  readonly failure: Effect.Effect<EngineFault>;
  readonly status: Effect.Effect<EngineStatus>;
}

/** What a driver starts: a loaded model that takes tokens and gives tokens. */
export interface TokenEngine extends LoadedModel {
  /**
   * Runs a request to its end. Events go to `onEvent` as they come, which is a callback and not a Stream because every token
   * of every caller passes here. Where it returns true the output is complete: the sequence is dropped, nothing more is
   * told, and the Effect succeeds. Interruption drops the sequence in the engine's next step.
   */
  readonly generate: (
    request: TokenRequest,
    onEvent: (event: TokenEvent) => boolean,
  ) => Effect.Effect<void, EngineFailure>;
  /**
   * The vector of a text. Interruption drops it in the engine's next step.
   *
   * @param onAdmitted called when the engine begins with it
   */
  readonly embed: (request: EngineEmbedding, onAdmitted?: () => void) => Effect.Effect<Float32Array, EngineFailure>;
}

/** A token engine whose output is read as text, reasoning and calls (read-output.ts). */
export interface Engine extends Omit<TokenEngine, "generate"> {
  /**
   * Runs a request to its end. Events go to `onEvent` as they come: at most one for each token, `finished` last. It is a
   * callback and not a Stream because every token of every caller passes here: one queue on the way is enough.
   * Interruption drops the sequence in the engine's next step.
   */
  readonly generate: (
    request: EngineRequest,
    onEvent: (event: EngineEvent) => void,
  ) => Effect.Effect<void, EngineFailure>;
}

/** What is asked of an engine that makes the prompt itself. */
export interface ConversationRequest {
  /** Unique among the running ones; names the generation in logs. */
  readonly id: string;
  readonly input: Exclude<GenerationInput, { readonly type: "tokens" }>;
  readonly parameters: EffectiveParameters;
  readonly reasoning: ReasoningOptions;
  readonly constraint: OutputConstraint | undefined;
  /** From admission on; then the partial result ends with `time-budget`. */
  readonly timeBudgetMs: number | undefined;
  readonly scheduling: SequenceScheduling;
}

/** A loaded model that takes conversations: it makes the prompt, and tells text, reasoning and calls apart. */
export interface ConversationEngine extends LoadedModel {
  /** As `Engine.generate`; its first event tells what the prompt took. */
  readonly converse: (
    request: ConversationRequest,
    onEvent: (event: EngineEvent) => void,
  ) => Effect.Effect<void, EngineFailure>;
}

/** Whether tokens are computed ahead of their turn, and by what; it changes no output. */
export interface Drafting {
  readonly allowed: boolean;
  /** Folder of a model that drafts, absolute; undefined: the sequence itself alone. */
  readonly directory: string | undefined;
}

/**
 * Starts engines of one kind that take tokens. The scope owns the engine: closing it ends the process and gives its memory
 * back.
 */
export interface Driver {
  /** Of what its engines compute with, as this build has it: known before one has started. */
  readonly version: string;
  /**
   * Ready when its model is loaded and has agreed with itself.
   *
   * @param unchanged fails where the files are not those of the facts any more. It is asked before and after every
   *   process reads them, so that none serves others.
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

/** Starts engines of one kind that take conversations. No file of their models is read here. */
export interface ConversationDriver {
  readonly version: string;
  /** What its models can do; nothing here computes embeddings or applies adapters for them. */
  readonly capabilities: ModelCapabilities;
  /** What of a task its engines heed, beside what is asked. Anything else is refused by its field. */
  readonly options: ReadonlySet<ConversationOption>;
  /** Ready when it takes conversations. `source` of the model is its name at the engine. The scope owns what it holds. */
  readonly start: (model: ServedModel) => Effect.Effect<ConversationEngine, EngineFault, Scope.Scope>;
}

/** The drivers of this service. */
export class Engines extends Context.Service<
  Engines,
  {
    /** Starts the engine of a model that takes tokens, by the driver that its facts name; its output is read as text. */
    readonly start: (...model: Parameters<Driver["start"]>) => Effect.Effect<Engine, EngineFault, Scope.Scope>;
    /** Those whose engines take conversations, by the canonical name of the engine. */
    readonly conversations: Readonly<Record<string, ConversationDriver>>;
    /** Empty for an engine without a driver. */
    readonly versionOf: (engine: string) => string;
  }
>()("mlxd/engine/Engines") {}

export type AnyEngine = Engine | ConversationEngine;

export const takesConversations = (engine: AnyEngine): engine is ConversationEngine => "converse" in engine;
