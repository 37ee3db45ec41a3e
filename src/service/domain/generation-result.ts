/** What a generation reports while it runs, and what comes of it, in the service's own terms. */
import type { ToolCall } from "./conversation.ts";
import type { ServiceError } from "./errors.ts";
import type { EffectiveParameters } from "./generation-task.ts";
import type { Usage } from "./usage.ts";

export type FinishReason =
  | "end-of-sequence"
  | "stop-sequence"
  | "stop-token"
  | "max-output-tokens"
  | "context-length"
  | "time-budget"
  | "constraint-complete"
  | "tool-calls"
  | "cancelled"
  /** By the model's backend, for its content. */
  | "content-filter";

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

/** A whole call. Calls that are cut off, cannot be parsed or do not match their tool's schema are delivered as text. */
export interface ToolCallDelta extends ToolCall {
  /** The call's number in this answer, from 0. */
  readonly index: number;
}

/** Part of the output is not as the model wrote it, or not as the model intended it. */
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

/** A token of the vocabulary. */
export interface TokenText {
  readonly tokenId: number;
  /**
   * Bytes that do not form a whole character are shown as U+FFFD; a special token is shown as the vocabulary spells it.
   */
  readonly text: string;
  readonly raw: Uint8Array<ArrayBuffer>;
}

export interface TokenLogprob extends TokenText {
  /**
   * Natural logarithm of the probability before filters and temperature. Undefined for the first token of a prompt. A
   * forced token has its own logprob.
   */
  readonly logprob: number | undefined;
  /** Best first. */
  readonly top: ReadonlyArray<TokenText & { readonly logprob: number }>;
}

/** How a conversation was shortened to fit the context. */
export interface ContextReport {
  readonly droppedMessages: number;
  /** The summary that the model got in their place, and what it cost. */
  readonly summary?: string;
  readonly summaryUsage?: Usage;
}

export interface GenerationStarted {
  readonly type: "started";
  readonly generationId: string;
  readonly model: string;
  readonly modelRevision: string;
  readonly promptTokens: number;
  readonly cachedPromptTokens: number;
  readonly parameters: EffectiveParameters;
  /** Models that were asked before and did not answer, as the task names them. */
  readonly passedOver?: ReadonlyArray<{ readonly model: string; readonly error: ServiceError }>;
  /** What was left out of the conversation; absent if nothing was. */
  readonly context?: ContextReport;
  /** The prompt's tokens, if requested; incomplete if the generation ended before all were computed. */
  readonly prompt: ReadonlyArray<TokenLogprob>;
}

export interface GenerationChunk {
  readonly type: "chunk";
  readonly candidateIndex: number;
  /** Whole code points; empty while a character or a possible stop sequence is incomplete. */
  readonly text: string;
  readonly reasoning: string;
  readonly toolCalls: ReadonlyArray<ToolCallDelta>;
  readonly tokenIds: ReadonlyArray<number>;
  /** One for each token, if requested. */
  readonly logprobs: ReadonlyArray<TokenLogprob>;
  /** This candidate's output tokens so far. */
  readonly outputTokens: number;
}

export interface GenerationFinished {
  readonly type: "finished";
  readonly candidateIndex: number;
  readonly finishReason: FinishReason;
  readonly matched: StopMatch | undefined;
  /** The prompt's tokens, which all candidates share, and this candidate's output tokens. */
  readonly usage: Usage;
  readonly timings: Timings;
  readonly warnings: ReadonlyArray<OutputWarning>;
}

/** `started` once, then any number of chunks, then `finished` once for each candidate. */
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
  /** In the order of their index; at least one. */
  readonly candidates: ReadonlyArray<GenerationCandidate>;
  /** The sum over all candidates. */
  readonly usage: Usage;
  /** The timings of the candidate that finished last. */
  readonly timings: Timings;
}
