/** What is asked of a model and what comes back, in the service's own terms: no wire type, no engine detail. */
import type { Usage } from "./usage.ts";

export type Role = "system" | "user" | "assistant" | "tool" | "developer";

export interface ToolCall {
  readonly id: string;
  readonly name: string;
  /** The JSON text as it was written, not re-encoded. */
  readonly arguments: string;
}

interface ImagePart {
  readonly type: "image";
  readonly source: { readonly data: Uint8Array } | { readonly url: string };
  readonly mediaType: string;
}

export type ContentPart = { readonly type: "text"; readonly text: string } | ImagePart;

export interface ChatMessage {
  readonly role: Role;
  readonly content: ReadonlyArray<ContentPart>;
  readonly toolCalls: ReadonlyArray<ToolCall>;
  readonly toolCallId: string;
  readonly name: string;
  readonly reasoning: string;
}

export interface Tool {
  readonly name: string;
  readonly description: string;
  /** A JSON Schema. */
  readonly parameters: Readonly<Record<string, unknown>> | undefined;
  /** The same as it was sent, where it was sent as JSON text: with all digits and its members in order. */
  readonly parametersText?: string;
}

export type ToolChoice =
  | { readonly mode: "auto" | "none" | "required" }
  | { readonly mode: "function"; readonly name: string };

export interface ChatInput {
  readonly type: "chat";
  readonly messages: ReadonlyArray<ChatMessage>;
  readonly tools: ReadonlyArray<Tool>;
  readonly toolChoice: ToolChoice;
  readonly templateOptions: Readonly<Record<string, unknown>>;
  readonly continueFinalMessage: boolean;
}

/** How much a model that marks its reasoning may reason. */
export interface ReasoningOptions {
  /** Tokens of reasoning at most; then it is closed and the answer follows. */
  readonly maxTokens?: number;
  readonly effort?: "low" | "medium" | "high";
}

/** A form that the output must have. */
export type OutputConstraint =
  | { readonly type: "json-object" }
  /** JSON text. */
  | { readonly type: "json-schema"; readonly schema: string }
  | { readonly type: "regex"; readonly pattern: string }
  /** GBNF. */
  | { readonly type: "grammar"; readonly text: string }
  | { readonly type: "choice"; readonly choices: ReadonlyArray<string> };

export type GenerationInput =
  | ChatInput
  | { readonly type: "prompt"; readonly text: string }
  | { readonly type: "tokens"; readonly ids: ReadonlyArray<number> };

/** Every field may be missing: the model's default then holds. */
export interface SamplingParams {
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly minP?: number;
  readonly repetitionPenalty?: number;
  readonly presencePenalty?: number;
  readonly frequencyPenalty?: number;
  readonly seed?: number;
  /** Added to logits before anything else; a token that is there twice gets both. */
  readonly logitBias?: ReadonlyArray<LogitBias>;
  /** Answers to generate from one prompt; 1. */
  readonly candidateCount?: number;
}

export interface LogitBias {
  readonly tokenId: number;
  readonly bias: number;
}

export interface StopCriteria {
  readonly maxOutputTokens?: number;
  readonly minOutputTokens?: number;
  readonly stopSequences: ReadonlyArray<string>;
  readonly stopTokenIds: ReadonlyArray<number>;
  readonly ignoreEos: boolean;
  readonly includeStopInOutput: boolean;
  /** The task's stop sequences stand in the place of the model's. @default false */
  readonly replacesModelStops?: boolean;
  readonly timeBudgetMs?: number;
}

export interface OutputOptions {
  readonly tokenIds: boolean;
  /** The text as the model wrote it: nothing is taken out of it. */
  readonly verbatim: boolean;
  /** Alternatives to tell beside each token's logprob; missing: no logprobs. */
  readonly topLogprobs?: number;
  readonly promptLogprobs: boolean;
  readonly echoPrompt: boolean;
  readonly flushTokens?: number;
  readonly flushIntervalMs?: number;
  readonly timings: boolean;
}

export interface SchedulingHints {
  readonly priority: number;
  readonly fairnessId: string;
  readonly maxQueueWaitMs?: number;
}

export interface CachePolicy {
  readonly mode: "read-write" | "read-only" | "bypass";
  readonly partition: string;
  /** Keep no more than this many first tokens. */
  readonly stablePrefixTokens?: number;
}

export interface GenerationTask {
  /** As the caller named it; empty is the default model. */
  readonly model: string;
  readonly modelRevision?: string;
  /** Id of one of the model's. */
  readonly adapter?: string;
  readonly input: GenerationInput;
  readonly reasoning: ReasoningOptions;
  readonly sampling: SamplingParams;
  readonly stop: StopCriteria;
  readonly output: OutputOptions;
  readonly constraint?: OutputConstraint;
  readonly scheduling: SchedulingHints;
  readonly cache: CachePolicy;
  /** The caller's own, for the log. */
  readonly labels: Readonly<Record<string, string>>;
}

/** What a generation really runs with: request over model over family over fallback. */
export interface EffectiveParameters {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number | undefined;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** 32 bits, unsigned. */
  readonly seed: number;
  readonly maxOutputTokens: number;
  readonly minOutputTokens: number;
  readonly stopSequences: ReadonlyArray<string>;
  readonly stopTokenIds: ReadonlyArray<number>;
  /** Id of the adapter that is applied. */
  readonly adapter?: string;
}

export type FinishReason =
  | "end-of-sequence"
  | "stop-sequence"
  | "stop-token"
  | "max-output-tokens"
  | "context-length"
  | "time-budget"
  | "constraint-complete"
  | "tool-calls"
  | "cancelled";

export type StopMatch =
  | { readonly type: "token"; readonly tokenId: number }
  | { readonly type: "stop-sequence"; readonly text: string };

/** Milliseconds; queue + timeToFirstToken + decode = total. */
export interface Timings {
  readonly queueMs: number;
  readonly timeToFirstTokenMs: number;
  readonly decodeMs: number;
  readonly totalMs: number;
}

/** A whole call: those that are cut off, unreadable or do not fit their tool are text. */
export interface ToolCallDelta extends ToolCall {
  /** The call's number in this answer, from 0. */
  readonly index: number;
}

/** Something of the output is not as the model wrote it, or not as it meant it. */
export interface OutputWarning {
  readonly kind:
    | "malformed-tool-call"
    | "unknown-tool"
    | "invalid-arguments"
    | "markers-removed"
    | "cut-at-marker"
    | "regenerated"
    | "broken-answer";
  /** One sentence. */
  readonly message: string;
}

/** A token of the vocabulary, in itself. */
export interface TokenText {
  readonly tokenId: number;
  /** Bytes that are no whole character read as U+FFFD; a special token as the vocabulary spells it. */
  readonly text: string;
  readonly raw: Uint8Array<ArrayBuffer>;
}

export interface TokenLogprob extends TokenText {
  /**
   * Natural logarithm, before filters and temperature. Undefined for the first token of a prompt. A token that was put in
   * the place of the model's choice has its own.
   */
  readonly logprob: number | undefined;
  /** Best first. */
  readonly top: ReadonlyArray<TokenText & { readonly logprob: number }>;
}

export interface GenerationStarted {
  readonly type: "started";
  readonly generationId: string;
  readonly model: string;
  readonly modelRevision: string;
  readonly promptTokens: number;
  readonly cachedPromptTokens: number;
  readonly parameters: EffectiveParameters;
  /** The prompt's tokens, if asked for; fewer where the generation ended before they were computed. */
  readonly prompt: ReadonlyArray<TokenLogprob>;
}

export interface GenerationChunk {
  readonly type: "chunk";
  readonly candidateIndex: number;
  /** Whole code points; empty while a character or a stop sequence is incomplete. */
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ReadonlyArray<ToolCallDelta>;
  readonly tokenIds: ReadonlyArray<number>;
  /** One for each token, if asked for. */
  readonly logprobs: ReadonlyArray<TokenLogprob>;
  /** Output tokens of this candidate so far. */
  readonly outputTokens: number;
}

export interface GenerationFinished {
  readonly type: "finished";
  readonly candidateIndex: number;
  readonly finishReason: FinishReason;
  readonly matched: StopMatch | undefined;
  /** The prompt's tokens, which all candidates share, and this candidate's. */
  readonly usage: Usage;
  readonly timings: Timings;
  readonly warnings: ReadonlyArray<OutputWarning>;
}

/** Started once, any number of chunks, finished once for each candidate. */
export type GenerationEvent = GenerationStarted | GenerationChunk | GenerationFinished;

export interface GenerationCandidate {
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ReadonlyArray<ToolCall>;
  readonly tokenIds: ReadonlyArray<number>;
  readonly logprobs: ReadonlyArray<TokenLogprob>;
  readonly finished: GenerationFinished;
}

export interface GenerationResult {
  readonly started: GenerationStarted;
  /** In their order; one at least. */
  readonly candidates: ReadonlyArray<GenerationCandidate>;
  /** Over all of them. */
  readonly usage: Usage;
  /** Of the one that ended last. */
  readonly timings: Timings;
}
