/** What a caller asks of a generation, in the service's own terms: no wire types and no engine details. */
import { Schema } from "effect";

import { ChatInput } from "./conversation.ts";

const { optionalKey, Array, Boolean, Literal, Literals, Number, Record, String, Struct, Union } = Schema;

// Schemas rather than plain types, so that a task can be stored and read back.

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
  Struct({ type: Literal("choice"), choices: Array(String) }),
]);
export type OutputConstraint = typeof OutputConstraint.Type;

const GenerationInput = Union([
  ChatInput,
  Struct({ type: Literal("prompt"), text: String }),
  Struct({ type: Literal("tokens"), ids: Array(Number) }),
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
  logitBias: optionalKey(Array(LogitBias)),
  /** How many answers to generate from one prompt. @default 1 */
  candidateCount: optionalKey(Number),
});
export type SamplingParams = typeof SamplingParams.Type;

const StopCriteria = Struct({
  maxOutputTokens: optionalKey(Number),
  minOutputTokens: optionalKey(Number),
  stopSequences: Array(String),
  stopTokenIds: Array(Number),
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
  alternatives: optionalKey(Array(String)),
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
  labels: Record(String, String),
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
