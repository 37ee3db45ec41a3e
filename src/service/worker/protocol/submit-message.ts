/** A sequence as it is submitted to an engine process: its prompt, and everything that decides its output. */
import type { SequenceConstraint } from "./constraint.ts";

/** Starts a sequence. */
export interface SubmitMessage {
  readonly type: "submit";
  /** Chosen by the service; unique within the worker's life. */
  readonly sequence: number;
  readonly promptTokenIds: ReadonlyArray<number>;
  readonly sampling: SequenceSampling;
  readonly maxOutputTokens: number;
  readonly minOutputTokens: number;
  /** Tokens that end the sequence; the token itself is reported. */
  readonly stopTokenIds: ReadonlyArray<number>;
  readonly timeBudgetMs: number | undefined;
  readonly scheduling: SequenceScheduling;
  readonly reasoningLimit: ReasoningLimit | undefined;
  /** The form that the output must have. The vocabulary has to be sent before. */
  readonly constraint?: SequenceConstraint;
  /** Report each token's logprob, and those of this many most likely tokens at its place; undefined for no logprobs. */
  readonly topLogprobs: number | undefined;
  /** Also report logprobs of the prompt. The prompt is then computed without the prefix cache. */
  readonly promptLogprobs: boolean;
  readonly cache: SequenceCachePolicy;
  /** Loaded on demand. Cached prefixes are shared only between sequences with the same adapter. */
  readonly adapter?: AdapterSource;
  /** Compute the prompt's embedding instead of output: `maxOutputTokens` is 0, and nothing is cached. */
  readonly embedding?: EmbeddingRequest;
}

export interface SequenceSampling {
  readonly temperature: number;
  readonly topP: number;
  /** 0 disables it. */
  readonly topK: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Added to the logits before anything else; biases of the same token add up. */
  readonly logitBias: ReadonlyArray<LogitBias>;
  readonly seed: number;
}

interface LogitBias {
  readonly tokenId: number;
  readonly bias: number;
}

/** Greedy, without penalties or filters. */
export const neutralSampling: SequenceSampling = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 0,
};

/** A sequence's place among the waiting ones. */
interface SequenceScheduling {
  /** When its turn is due, in seconds of the service's clock; the earliest is prefilled first. */
  readonly turn: number;
  /** Each running sequence with the same id defers it by a second. */
  readonly fairnessId: string;
  /** It is an item of a job: it pauses while the prompt of another sequence is computed. */
  readonly background?: boolean;
}

export interface SequenceCachePolicy {
  /** Start from a cached prefix. */
  readonly read: boolean;
  /** Cache what is computed. */
  readonly write: boolean;
  /** Cached prefixes are shared only within a partition. */
  readonly partition: string;
  /** Cache at most this many leading tokens. */
  readonly stablePrefixTokens?: number;
}

/** Reasoning that is longer is closed by forced tokens. */
export interface ReasoningLimit {
  /** The most tokens of reasoning. */
  readonly maxTokens: number;
  /** The tokens that open reasoning at the beginning of the output; empty if the prompt has opened it. */
  readonly openTokenIds: ReadonlyArray<number>;
  readonly closeTokenIds: ReadonlyArray<number>;
  /** The tokens that are forced after the close, before the model continues. */
  readonly answerTokenIds: ReadonlyArray<number>;
}

export interface AdapterSource {
  /** Identifies the adapter and the version of its files; contains no `:`. */
  readonly key: string;
  /** Its folder, with adapter_config.json and adapters.safetensors. */
  readonly directory: string;
}

/** How the hidden states after the last norm become one vector. */
export interface EmbeddingRequest {
  readonly pooling: "last-token" | "mean" | "first-token";
  /** Keep only this many leading numbers; @default all */
  readonly dimensions?: number;
  /** Scale to length 1 after truncation. */
  readonly normalize: boolean;
}
