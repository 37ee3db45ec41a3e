import type { CacheMode, ReasoningEffort } from "./enum-names.ts";
import type { JsonSchema } from "./messages.ts";

/** How to generate. What is not set is the model's default; what it came to is in the result's `parameters`. */
export interface GenerationParameters {
  /**
   * Id, alias or repository path of the model.
   * @default the client's `defaultModel`, or else the service's default model
   */
  readonly model?: string | undefined;
  /**
   * Models to ask in its place, in this order, where it does not answer, while nothing of an answer was sent; not beside
   * `modelRevision` and `adapter`. The result names the model that answered, and in `passedOver` those that did not.
   */
  readonly alternatives?: readonly string[] | undefined;
  /** Refuse the task when another revision of the model is loaded. */
  readonly modelRevision?: string | undefined;
  /** Id of a LoRA adapter to apply to this task alone. */
  readonly adapter?: string | undefined;

  /** 0 (greedy) to 2. */
  readonly temperature?: number | undefined;
  /** Keep the fewest most likely tokens whose probabilities reach this sum; over 0, at most 1 (off). */
  readonly topP?: number | undefined;
  /** Keep this many most likely tokens; at least 1. */
  readonly topK?: number | undefined;
  /** Keep tokens at least this fraction as likely as the most likely one; 0 (off) to 1. */
  readonly minP?: number | undefined;
  /** Makes tokens that occurred less likely; over 0, at most 2; 1 is off. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from the logit of every token that occurred in the output; -2 to 2, 0 is off. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from the logit once for each time the token occurred in the output; -2 to 2, 0 is off. */
  readonly frequencyPenalty?: number | undefined;
  /**
   * Makes the draw repeatable; an unsigned 32-bit integer.
   * @default a random one, which is told in the result's `parameters`
   */
  readonly seed?: number | undefined;
  /** Added to the logits of tokens before anything else; each from -100 to 100. */
  readonly logitBias?: readonly { readonly tokenId: number; readonly bias: number }[] | undefined;
  /**
   * Answers to generate from one prompt; 1 to 8. The first is what one alone would be.
   * @default 1
   */
  readonly candidateCount?: number | undefined;

  /**
   * Output tokens at most. A value that does not fit the context is refused, not clamped.
   * @default the model's, clamped to the room that the prompt leaves
   */
  readonly maxOutputTokens?: number | undefined;
  /** Output tokens before the model may end. */
  readonly minOutputTokens?: number | undefined;
  /** Texts that end the output, in addition to the model's own; at most 8. */
  readonly stopSequences?: readonly string[] | undefined;
  /**
   * `stopSequences` replace the model's own instead of adding to them.
   * @default false
   */
  readonly replaceModelStops?: boolean | undefined;
  /** Token ids that end the output, in addition to the model's own; at most 64. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /** Go on after the model's end of sequence. */
  readonly ignoreEos?: boolean | undefined;
  /** Keep the matched stop sequence in the output. */
  readonly includeStopInOutput?: boolean | undefined;
  /** Time from admission on; when it passes, the result is partial and its finish reason `time_budget`. */
  readonly timeBudgetMs?: number | undefined;

  /** How much to reason before the answer; only for conversations with a model that marks its reasoning. */
  readonly reasoning?: ReasoningOptions | undefined;

  /** Report the ids of output tokens. */
  readonly tokenIds?: boolean | undefined;
  /** Report the logprob of each output token and of this many most likely ones at its place; 0 to 20. */
  readonly topLogprobs?: number | undefined;
  /** Report the prompt's tokens with their logprobs and as many alternatives. Takes nothing from the prefix cache. */
  readonly promptLogprobs?: boolean | undefined;
  /** Begin each answer's text with the prompt's. */
  readonly echoPrompt?: boolean | undefined;
  /** Streaming: send a chunk once it holds this many tokens; 1 to 1,024. */
  readonly flushTokens?: number | undefined;
  /** Streaming: send what there is after this long, however few tokens; at most 10 s. */
  readonly flushIntervalMs?: number | undefined;
  /** Report where the time went. */
  readonly timings?: boolean | undefined;
  /**
   * Leave tool calls, reasoning and role markers in the text, as the model wrote them.
   * @default false
   */
  readonly verbatim?: boolean | undefined;

  /** A form that the output must have. */
  readonly constraint?: Constraint | undefined;

  /** Higher runs first; -1000 to 1000. */
  readonly priority?: number | undefined;
  /** Tasks of one id share one turn with those of others. */
  readonly fairnessId?: string | undefined;
  /** Wait at most this long for admission, then fail with `QUEUE_TIMEOUT`. */
  readonly maxQueueWaitMs?: number | undefined;

  /** How the task uses the prefix cache. */
  readonly cache?: CacheOptions | undefined;
  /** Labels for the service's reports. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

/** How much a model may reason before it answers. */
export interface ReasoningOptions {
  /** Tokens of reasoning at most; when they are spent, the reasoning is closed and the answer follows. */
  readonly maxTokens?: number | undefined;
  /** How thorough; refused where the model's chat template does not know it. */
  readonly effort?: ReasoningEffort | undefined;
}

/** A form that the output must have; one of these. */
export type Constraint =
  /** Any JSON object. */
  | { readonly jsonObject: true }
  /** A JSON Schema (draft 2020-12), as an object or as JSON text. */
  | { readonly jsonSchema: JsonSchema | string }
  /** A regular expression that the whole output matches. */
  | { readonly regex: string }
  /** A grammar in EBNF (GBNF notation), rule `root` first. */
  | { readonly grammar: string }
  /** One of these texts. */
  | { readonly choices: readonly string[] };

/** How a task uses the prefix cache. */
export interface CacheOptions {
  /**
   * Reuse what is cached and keep what is computed, only reuse, or neither.
   * @default "read_write"
   */
  readonly mode?: CacheMode | undefined;
  /** Tasks share cached prefixes only within a partition: one for each tenant. */
  readonly partition?: string | undefined;
  /** A hint: this many first tokens will come again, what follows them will not. */
  readonly stablePrefixTokens?: number | undefined;
}
