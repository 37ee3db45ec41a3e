/** Generation tasks and their results, in the service's own terms: no wire types and no engine details. */
import { Schema } from "effect";

import type { ServiceError } from "./errors.ts";
import type { Usage } from "./usage.ts";

const { optionalKey, String, Boolean, Number, Literal, Literals, Struct, Union, Unknown, UndefinedOr } = Schema;
const list = <S extends Schema.Top>(of: S) => Schema.Array(of);
const map = <S extends Schema.Top>(of: S) => Schema.Record(String, of);

// Schemas rather than plain types, so that a task can be stored and read back.

const Role = Literals(["system", "user", "assistant", "tool", "developer"]);
export type Role = typeof Role.Type;

const ToolCall = Struct({
  id: String,
  name: String,
  /** The JSON text as the model wrote it, not re-encoded. */
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
  /** The schema as JSON text, if it was sent as text: it preserves the order of members and all digits of numbers. */
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

/** Limits the reasoning of models that mark it. */
const ReasoningOptions = Struct({
  /** The most tokens of reasoning; after that the reasoning is closed and the answer follows. */
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

/** Missing fields take the model's defaults. */
const SamplingParams = Struct({
  temperature: optionalKey(Number),
  topP: optionalKey(Number),
  topK: optionalKey(Number),
  minP: optionalKey(Number),
  repetitionPenalty: optionalKey(Number),
  presencePenalty: optionalKey(Number),
  frequencyPenalty: optionalKey(Number),
  seed: optionalKey(Number),
  /** Added to the logits before anything else; biases of the same token add up. */
  logitBias: optionalKey(list(LogitBias)),
  /** How many answers to generate from one prompt. @default 1 */
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
  /** The task's stop sequences replace the model's instead of adding to them. @default false */
  replacesModelStops: optionalKey(Boolean),
  timeBudgetMs: optionalKey(Number),
});
export type StopCriteria = typeof StopCriteria.Type;

const OutputOptions = Struct({
  tokenIds: Boolean,
  /** Return the text as the model wrote it, with nothing removed. */
  verbatim: Boolean,
  /** How many alternatives to report beside each token's logprob; missing: no logprobs. */
  topLogprobs: optionalKey(Number),
  promptLogprobs: Boolean,
  echoPrompt: Boolean,
  flushTokens: optionalKey(Number),
  flushIntervalMs: optionalKey(Number),
  timings: Boolean,
});
export type OutputOptions = typeof OutputOptions.Type;

const SchedulingHints = Struct({
  /** Absent: 0, or the value nearest to it that the caller's tenant may set. */
  priority: optionalKey(Number),
  fairnessId: String,
  maxQueueWaitMs: optionalKey(Number),
  /**
   * Whether it is an item of a job, which always comes after interactive calls. Set by the service, never by a caller.
   */
  background: optionalKey(Boolean),
});
export type SchedulingHints = typeof SchedulingHints.Type;

const CachePolicy = Struct({
  mode: Literals(["read-write", "read-only", "bypass"]),
  partition: String,
  /** Cache at most this many leading tokens of the prompt. */
  stablePrefixTokens: optionalKey(Number),
});
export type CachePolicy = typeof CachePolicy.Type;

export const GenerationTask = Struct({
  /** As the caller named it; empty for the default model. */
  model: String,
  /** Models to ask in its place, in their order, where it does not answer. */
  alternatives: optionalKey(list(String)),
  modelRevision: optionalKey(String),
  /** Id of one of the model's adapters. */
  adapter: optionalKey(String),
  input: GenerationInput,
  /** What to do with a conversation that does not fit the context; absent: it is refused. */
  contextPolicy: optionalKey(Literals(["drop-oldest", "summarise"])),
  reasoning: ReasoningOptions,
  sampling: SamplingParams,
  stop: StopCriteria,
  output: OutputOptions,
  constraint: optionalKey(OutputConstraint),
  scheduling: SchedulingHints,
  cache: CachePolicy,
  /** Chosen by the caller, for logs. */
  labels: map(String),
});
export type GenerationTask = typeof GenerationTask.Type;

/**
 * The parameters that a generation actually runs with. The request's take precedence over the model's, the family's and
 * the built-in defaults, in this order.
 */
export interface EffectiveParameters {
  readonly temperature: number;
  readonly topP: number;
  readonly topK: number | undefined;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Unsigned, 32 bits. */
  readonly seed: number;
  readonly maxOutputTokens: number;
  readonly minOutputTokens: number;
  readonly stopSequences: ReadonlyArray<string>;
  readonly stopTokenIds: ReadonlyArray<number>;
  /** Id of the applied adapter. */
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
