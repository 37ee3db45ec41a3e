/** The port below the pipeline: what engines are asked for and what they report. Engines.ts has how they are started. */
import type { Effect, Stream } from "effect";

import type {
  FinishReason,
  OutputWarning,
  StopMatch,
  TokenLogprob,
  ToolCallDelta,
} from "../domain/generation-result.ts";
import type {
  CachePolicy,
  EffectiveParameters,
  GenerationInput,
  LogitBias,
  OutputConstraint,
  ReasoningOptions,
} from "../domain/generation-task.ts";
import type { ConversationOption } from "../domain/conversation-options.ts";
import type { AdapterFacts } from "../domain/model.ts";
import type { QueuePlace } from "../domain/turn.ts";
import type { OutputReading } from "../output/parser.ts";
import type { StopText } from "../output/stop-texts.ts";
import type { ClearedPrefixes } from "../worker/protocol/prefix-report.ts";
import type { TokenLogprobs } from "../worker/protocol/sequence-events.ts";
import type { EmbeddingRequest, ReasoningLimit, SubmitMessage } from "../worker/protocol/submit-message.ts";
import type { PrefixSelection } from "../worker/protocol/to-worker.ts";
import type { EngineFailure, EngineFault } from "./engine-failures.ts";
import type { EngineHealth, EngineStatus } from "./EngineStatus.ts";

export type { ClearedPrefixes, PrefixSelection };

/** A request to an engine that takes tokens. */
export interface TokenRequest {
  /** Unique among the running requests. It names the generation in logs. */
  readonly id: string;
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly parameters: EffectiveParameters;
  readonly logitBias: ReadonlyArray<LogitBias>;
  /** Number of alternatives to report with each token's logprob; undefined for no logprobs. */
  readonly topLogprobs: number | undefined;
  /** Whether to report logprobs of the prompt, with as many alternatives. */
  readonly promptLogprobs: boolean;
  readonly reasoningLimit: ReasoningLimit | undefined;
  readonly constraint?: NonNullable<SubmitMessage["constraint"]>;
  /** Counted from admission. After it the generation ends with what it has and the reason `time-budget`. */
  readonly timeBudgetMs: number | undefined;
  readonly scheduling: QueuePlace;
  readonly cache: CachePolicy;
  /** The LoRA adapter of this request. */
  readonly adapter: AdapterFacts | undefined;
  /** Whether output is delivered only at the end, so that the request can be replayed if a process dies. @default false */
  readonly whole?: boolean;
}

/** A token request with the rules for reading its tokens as text. */
export interface EngineRequest extends TokenRequest {
  /** The end-of-sequence tokens among `parameters.stopTokenIds`. They decide the finish reason. */
  readonly eosTokenIds: ReadonlyArray<number>;
  readonly includeStopInOutput: boolean;
  /** How each of `parameters.stopSequences` is treated. @default each stops the output anywhere in the text */
  readonly stops?: ReadonlyArray<StopText>;
  /** How reasoning and tool calls are read out of the output. */
  readonly reading: OutputReading;
  /** Whether the output limit is the end of the context: the finish reason is then `context-length`. */
  readonly fillsContext: boolean;
}

/** A text to embed. */
export interface EngineEmbedding extends EmbeddingRequest {
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly scheduling: QueuePlace;
}

/** What a token engine reports of one generation. */
export type TokenEvent =
  /** The request was admitted; reported again after each replay on another process. */
  | { readonly type: "admitted"; readonly cachedPromptTokens: number }
  /** If requested: once, before any token. One entry for each prompt token; the first one is undefined. */
  | { readonly type: "prompt"; readonly logprobs: ReadonlyArray<TokenLogprobs | undefined> }
  | {
      readonly type: "token";
      readonly tokenId: number;
      /** Undefined unless requested. */
      readonly logprobs: TokenLogprobs | undefined;
      /** Tokens drafted since the previous token, and whether this one was accepted from a draft; undefined if none were. */
      readonly drafts: DraftCounts | undefined;
    }
  /** The last. */
  | { readonly type: "finished"; readonly reason: TokensEnd };

/** Why an engine stopped generating. */
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

/** The engine admitted the request. Sent once. */
interface EngineAdmitted {
  readonly type: "admitted";
  readonly cachedPromptTokens: number;
  /** Reported by an engine that makes the prompt itself. */
  readonly promptTokens?: number;
  /** Whether the counts are estimates until the end reports the actual ones. @default false */
  readonly estimated?: boolean;
  /** The parameters that apply, where defaults of the request were left out because the engine does not support them. */
  readonly parameters?: EffectiveParameters;
}

/** The prompt's logprobs, if requested. Sent once, before any output. */
interface EnginePrompt {
  readonly type: "prompt";
  readonly tokens: ReadonlyArray<TokenLogprob>;
}

/** The output of one step. */
interface EngineOutput {
  readonly type: "output";
  /** Whole code points; empty while a character or a stop sequence is incomplete. */
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ReadonlyArray<ToolCallDelta>;
  /** Number of output tokens in this event, whether or not their ids are known. */
  readonly tokens: number;
  /** How many of the tokens are reasoning, without the markers that open and close it. */
  readonly reasoningTokens: number;
  /** The ids of the tokens; empty if the engine does not report them. */
  readonly tokenIds: ReadonlyArray<number>;
  /** Tokens drafted since the previous event, and how many of this event's were accepted; undefined if none were. */
  readonly drafts?: DraftCounts;
  /** One for each token, if requested. */
  readonly logprobs: ReadonlyArray<TokenLogprob>;
}

/** The output is complete. The last event. */
interface EngineFinished {
  readonly type: "finished";
  readonly reason: FinishReason;
  readonly matched: StopMatch | undefined;
  readonly cachedPromptTokens: number;
  /**
   * The usage of the prompt and the whole output, if it is known only at the end. It replaces the counts of earlier
   * events.
   */
  readonly usage?: EndUsage;
  readonly warnings: ReadonlyArray<OutputWarning>;
}

/** What a generation has cost, as reported by its engine or, if `estimated`, as counted by this service. */
export interface EndUsage {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly estimated: boolean;
}

export type EngineEvent = EngineAdmitted | EnginePrompt | EngineOutput | EngineFinished;
/** What both kinds of loaded models offer. */
interface LoadedModel {
  /** Ends a request early, with the reason `cancelled`. False if no request of that id runs. */
  readonly cancel: (id: string) => Effect.Effect<boolean>;
  /** The current health and each change. `serving` means that tokens arrive. */
  readonly health: Stream.Stream<EngineHealth>;
  /** Succeeds when the engine is given up. It then fails every request with this fault, and its scope has to be closed. */
  readonly failure: Effect.Effect<EngineFault>;
  readonly status: Effect.Effect<EngineStatus>;
}

/** What a token driver starts: a loaded model that takes token ids and reports token ids. */
export interface TokenEngine extends LoadedModel {
  /**
   * Runs a request to its end. Events go to `onEvent` as they come, which is a callback and not a Stream because every token
   * of every caller passes here. If it returns true the output is complete: the engine drops the sequence, reports nothing
   * more, and the Effect succeeds. Interruption drops the sequence in the engine's next step.
   */
  readonly generate: (
    request: TokenRequest,
    onEvent: (event: TokenEvent) => boolean,
  ) => Effect.Effect<void, EngineFailure>;
  /**
   * Computes the vector of a text. Interruption drops it in the engine's next step.
   *
   * @param onAdmitted called when the engine admits it
   */
  readonly embed: (request: EngineEmbedding, onAdmitted?: () => void) => Effect.Effect<Float32Array, EngineFailure>;
  /**
   * Clears the selected part of its prefix cache, and completes when the memory is free. Running requests are not
   * affected.
   */
  readonly clearPrefixes: (selection: PrefixSelection) => Effect.Effect<ClearedPrefixes>;
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

/** A request to an engine that takes conversations. */
export interface ConversationRequest {
  /** Unique among the running requests. It names the generation in logs. */
  readonly id: string;
  readonly input: Exclude<GenerationInput, { readonly type: "tokens" }>;
  readonly parameters: EffectiveParameters;
  readonly reasoning: ReasoningOptions;
  readonly constraint: OutputConstraint | undefined;
  /** Number of alternatives to report with each token's logprob; undefined for no logprobs. */
  readonly topLogprobs: number | undefined;
  /** The options that its task sets, and that are not the model's defaults: none of them may be left out. */
  readonly asked: ReadonlySet<ConversationOption>;
  /** The length of the prompt as it is known here. */
  readonly promptCount: { readonly tokens: number; readonly estimated: boolean };
  /** Counted from admission. After it the generation ends with what it has and the reason `time-budget`. */
  readonly timeBudgetMs: number | undefined;
  readonly scheduling: QueuePlace;
}

/** A loaded model that takes conversations. It makes the prompt itself, and separates text, reasoning and tool calls. */
export interface ConversationEngine extends LoadedModel {
  /** As `Engine.generate`. The `admitted` event has the number of prompt tokens. */
  readonly converse: (
    request: ConversationRequest,
    onEvent: (event: EngineEvent) => void,
  ) => Effect.Effect<void, EngineFailure>;
  /** Options of its driver that this model is known not to support, as its engine has told or refused. @default none */
  readonly unsupported?: () => ReadonlySet<ConversationOption>;
}

export type AnyEngine = Engine | ConversationEngine;

export const takesConversations = (engine: AnyEngine): engine is ConversationEngine => "converse" in engine;
