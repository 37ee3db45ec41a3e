/** What is asked of a model and what comes back, in the service's own terms: no wire type, no engine detail. */
import { Schema } from "effect";

import type { ServiceError } from "./errors.ts";
import type { Usage } from "./usage.ts";

const { optionalKey, String, Boolean, Number, Literal, Literals, Struct, Union, Unknown, UndefinedOr } = Schema;
const list = <S extends Schema.Top>(of: S) => Schema.Array(of);
const map = <S extends Schema.Top>(of: S) => Schema.Record(String, of);

// Schemas and not types alone, so that a task can be stored and read again.

const Role = Literals(["system", "user", "assistant", "tool", "developer"]);
export type Role = typeof Role.Type;

const ToolCall = Struct({
  id: String,
  name: String,
  /** The JSON text as it was written, not re-encoded. */
  arguments: String,
});
export type ToolCall = typeof ToolCall.Type;

const ImagePart = Struct({
  type: Literal("image"),
  source: Union([Struct({ data: Schema.Uint8Array }), Struct({ url: String })]),
  mediaType: String,
});

const ContentPart = Union([Struct({ type: Literal("text"), text: String }), ImagePart]);
export type ContentPart = typeof ContentPart.Type;

const ChatMessage = Struct({
  role: Role,
  content: list(ContentPart),
  toolCalls: list(ToolCall),
  toolCallId: String,
  name: String,
  reasoning: String,
});
export type ChatMessage = typeof ChatMessage.Type;

const Tool = Struct({
  name: String,
  description: String,
  /** A JSON Schema. */
  parameters: UndefinedOr(map(Unknown)),
  /** The same as it was sent, where it was sent as JSON text: with all digits and its members in order. */
  parametersText: optionalKey(String),
});
export type Tool = typeof Tool.Type;

const ToolChoice = Union([
  Struct({ mode: Literals(["auto", "none", "required"]) }),
  Struct({ mode: Literal("function"), name: String }),
]);
export type ToolChoice = typeof ToolChoice.Type;

const ChatInput = Struct({
  type: Literal("chat"),
  messages: list(ChatMessage),
  tools: list(Tool),
  toolChoice: ToolChoice,
  templateOptions: map(Unknown),
  continueFinalMessage: Boolean,
});
export type ChatInput = typeof ChatInput.Type;

/** How much a model that marks its reasoning may reason. */
const ReasoningOptions = Struct({
  /** Tokens of reasoning at most; then it is closed and the answer follows. */
  maxTokens: optionalKey(Number),
  effort: optionalKey(Literals(["low", "medium", "high"])),
});
export type ReasoningOptions = typeof ReasoningOptions.Type;

/** A form that the output must have. */
const OutputConstraint = Union([
  Struct({ type: Literal("json-object") }),
  /** JSON text. */
  Struct({ type: Literal("json-schema"), schema: String }),
  Struct({ type: Literal("regex"), pattern: String }),
  /** GBNF. */
  Struct({ type: Literal("grammar"), text: String }),
  Struct({ type: Literal("choice"), choices: list(String) }),
]);
export type OutputConstraint = typeof OutputConstraint.Type;

const GenerationInput = Union([
  ChatInput,
  Struct({ type: Literal("prompt"), text: String }),
  Struct({ type: Literal("tokens"), ids: list(Number) }),
]);
export type GenerationInput = typeof GenerationInput.Type;

const LogitBias = Struct({ tokenId: Number, bias: Number });
export type LogitBias = typeof LogitBias.Type;

/** Every field may be missing: the model's default then holds. */
const SamplingParams = Struct({
  temperature: optionalKey(Number),
  topP: optionalKey(Number),
  topK: optionalKey(Number),
  minP: optionalKey(Number),
  repetitionPenalty: optionalKey(Number),
  presencePenalty: optionalKey(Number),
  frequencyPenalty: optionalKey(Number),
  seed: optionalKey(Number),
  /** Added to logits before anything else; a token that is there twice gets both. */
  logitBias: optionalKey(list(LogitBias)),
  /** Answers to generate from one prompt; 1. */
  candidateCount: optionalKey(Number),
});
export type SamplingParams = typeof SamplingParams.Type;

const StopCriteria = Struct({
  maxOutputTokens: optionalKey(Number),
  minOutputTokens: optionalKey(Number),
  stopSequences: list(String),
  stopTokenIds: list(Number),
  ignoreEos: Boolean,
  includeStopInOutput: Boolean,
  /** The task's stop sequences stand in the place of the model's. @default false */
  replacesModelStops: optionalKey(Boolean),
  timeBudgetMs: optionalKey(Number),
});
export type StopCriteria = typeof StopCriteria.Type;

const OutputOptions = Struct({
  tokenIds: Boolean,
  /** The text as the model wrote it: nothing is taken out of it. */
  verbatim: Boolean,
  /** Alternatives to tell beside each token's logprob; missing: no logprobs. */
  topLogprobs: optionalKey(Number),
  promptLogprobs: Boolean,
  echoPrompt: Boolean,
  flushTokens: optionalKey(Number),
  flushIntervalMs: optionalKey(Number),
  timings: Boolean,
});
export type OutputOptions = typeof OutputOptions.Type;

const SchedulingHints = Struct({
  /** Absent: 0, or what is nearest to it of what its caller's tenant may say. */
  priority: optionalKey(Number),
  fairnessId: String,
  maxQueueWaitMs: optionalKey(Number),
  /** It is an item of a job: interactive calls go before it, always. The service says so itself, no caller does. */
  background: optionalKey(Boolean),
});
export type SchedulingHints = typeof SchedulingHints.Type;

const CachePolicy = Struct({
  mode: Literals(["read-write", "read-only", "bypass"]),
  partition: String,
  /** Keep no more than this many first tokens. */
  stablePrefixTokens: optionalKey(Number),
});
export type CachePolicy = typeof CachePolicy.Type;

export const GenerationTask = Struct({
  /** As the caller named it; empty is the default model. */
  model: String,
  /** Models to ask in its place, in their order, where it does not answer. */
  alternatives: optionalKey(list(String)),
  modelRevision: optionalKey(String),
  /** Id of one of the model's. */
  adapter: optionalKey(String),
  input: GenerationInput,
  reasoning: ReasoningOptions,
  sampling: SamplingParams,
  stop: StopCriteria,
  output: OutputOptions,
  constraint: optionalKey(OutputConstraint),
  scheduling: SchedulingHints,
  cache: CachePolicy,
  /** The caller's own, for the log. */
  labels: map(String),
});
export type GenerationTask = typeof GenerationTask.Type;

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
  /** Models that were asked before and did not answer, as the task names them. */
  readonly passedOver?: ReadonlyArray<{ readonly model: string; readonly error: ServiceError }>;
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
