import type { CacheMode, ContextPolicy, ReasoningEffort } from "./enum-names.ts";
import type { JsonSchema } from "./messages.ts";

/** How to generate. Parameters that are not set have the model's defaults; the result's `parameters` has their values. */
export interface GenerationParameters {
  /**
   * Id, alias or repository path of the model.
   * @default the client's `defaultModel`, or else the service's default model
   */
  readonly model?: string | undefined;
  /**
   * Models to try in this order if the model does not answer and no output has been sent; not together with `modelRevision` or
   * `adapter`. The result names the model that answered and, in `passedOver`, those that did not.
   */
  readonly alternatives?: readonly string[] | undefined;
  /**
   * What to do with a conversation that does not fit the context: leave out its oldest turns (`drop_oldest`), and in addition
   * replace them by a summary that the same model writes (`summarise`). The result's `context` reports what was done.
   * @default the task is refused with `CONTEXT_LENGTH_EXCEEDED`
   */
  readonly contextPolicy?: ContextPolicy | undefined;
  /** Refuse the task if another revision of the model is loaded. */
  readonly modelRevision?: string | undefined;
  /** Id of a LoRA adapter to apply to this task. */
  readonly adapter?: string | undefined;

  /** 0 (greedy) to 2. */
  readonly temperature?: number | undefined;
  /** Sample from the smallest set of most likely tokens whose probabilities add up to this; over 0, at most 1 (off). */
  readonly topP?: number | undefined;
  /** Sample from this many most likely tokens; at least 1. */
  readonly topK?: number | undefined;
  /** Sample from tokens that are at least this fraction as likely as the most likely one; 0 (off) to 1. */
  readonly minP?: number | undefined;
  /** Makes tokens less likely that have occurred before; over 0, at most 2; 1 is off. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from the logit of each token that has occurred in the output; -2 to 2, 0 is off. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from the logit of a token for each time that it has occurred in the output; -2 to 2, 0 is off. */
  readonly frequencyPenalty?: number | undefined;
  /**
   * Makes the sampling repeatable; an unsigned 32-bit integer.
   * @default a random one, which the result's `parameters` contains
   */
  readonly seed?: number | undefined;
  /** Added to the logits of tokens before all other sampling parameters; each from -100 to 100. */
  readonly logitBias?: readonly { readonly tokenId: number; readonly bias: number }[] | undefined;
  /**
   * Number of candidates to generate from the prompt; 1 to 8. The first one is the same as if it were the only one.
   * @default 1
   */
  readonly candidateCount?: number | undefined;

  /**
   * Maximum number of output tokens. A value that does not fit into the context is refused, not clamped.
   * @default that of the model, clamped to what the prompt leaves of the context
   */
  readonly maxOutputTokens?: number | undefined;
  /** Minimum number of output tokens before the model may end. */
  readonly minOutputTokens?: number | undefined;
  /** Texts that end the output, in addition to those of the model; at most 8. */
  readonly stopSequences?: readonly string[] | undefined;
  /**
   * `stopSequences` replace those of the model instead of adding to them.
   * @default false
   */
  readonly replaceModelStops?: boolean | undefined;
  /** Token ids that end the output, in addition to those of the model; at most 64. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /** Continue after the model's end-of-sequence token. */
  readonly ignoreEos?: boolean | undefined;
  /** Keep the matched stop sequence in the output. */
  readonly includeStopInOutput?: boolean | undefined;
  /** Time limit from admission; when it is over, the result is partial and its finish reason is `time_budget`. */
  readonly timeBudgetMs?: number | undefined;

  /** How much to reason before answering; only for conversations with a model that marks its reasoning. */
  readonly reasoning?: ReasoningOptions | undefined;

  /** Return the ids of the output tokens. */
  readonly tokenIds?: boolean | undefined;
  /** Return the logprob of each output token, and of this many most likely tokens at its position; 0 to 20. */
  readonly topLogprobs?: number | undefined;
  /** Return the tokens of the prompt with their logprobs and as many alternatives. Does not use the prefix cache. */
  readonly promptLogprobs?: boolean | undefined;
  /** Begin the text of each candidate with the prompt. */
  readonly echoPrompt?: boolean | undefined;
  /** For streams: send a chunk when it has this many tokens; 1 to 1,024. */
  readonly flushTokens?: number | undefined;
  /** For streams: send a chunk after this many milliseconds, however few tokens it has; at most 10 s. */
  readonly flushIntervalMs?: number | undefined;
  /** Return timings. */
  readonly timings?: boolean | undefined;
  /**
   * Leave tool calls, reasoning and role markers in the text, as the model wrote them.
   * @default false
   */
  readonly verbatim?: boolean | undefined;

  /** A format that the output must have. */
  readonly constraint?: Constraint | undefined;

  /** Tasks with a higher priority run first; -1000 to 1000. */
  readonly priority?: number | undefined;
  /** Tasks with the same id share one turn among those with other ids. */
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
  /** Maximum number of reasoning tokens; after them the reasoning is closed and the answer begins. */
  readonly maxTokens?: number | undefined;
  /** How thoroughly to reason; refused if the model's chat template does not support it. */
  readonly effort?: ReasoningEffort | undefined;
}

/** A format that the output must have; one of these. */
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
   * Use and fill the cache, only use it, or neither.
   * @default "read_write"
   */
  readonly mode?: CacheMode | undefined;
  /** Tasks share cached prefixes only within a partition of their tenant. */
  readonly partition?: string | undefined;
  /** A hint: this many leading tokens of the prompt will occur again, and the rest will not. */
  readonly stablePrefixTokens?: number | undefined;
}
