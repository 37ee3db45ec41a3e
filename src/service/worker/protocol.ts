/**
 * The messages between the service and an engine process, sent over the process's IPC channel as structured clones.
 * This is the only file of worker/ that the service imports; it loads nothing.
 */
import type { SequenceConstraint } from "./constraint.ts";

/** The first message to a worker. */
export interface LoadMessage {
  readonly type: "load";
  /** A checkpoint folder: config.json, weights. */
  readonly directory: string;
  readonly limits: WorkerLimits;
  /** The share of the machine's memory budget for the whole process. */
  readonly reservedBytes: number;
  /** If true, the process loads and computes only between a `start` and the next `stop`. */
  readonly takesTurns: boolean;
  /** `auto`: as stored on a GPU, in float32 on a CPU. */
  readonly weights: "auto" | "stored";
  readonly speculation: SpeculationMode;
  /**
   * The checkpoint folder of a smaller model with the same vocabulary, used for drafting. Its caches count against the
   * same limits.
   */
  readonly draftDirectory?: string;
}

/**
 * When tokens are drafted and verified several at a time: never, when it is measured to be faster, or whenever there is
 * something to draft. The output is the same in all cases.
 */
export type SpeculationMode = "off" | "measured" | "always";

export interface WorkerLimits {
  /** The most sequences in one decode step. */
  readonly maxBatch: number;
  /** Prompt tokens computed between two decode steps. */
  readonly prefillSliceTokens: number;
  /** Bytes of KV cache for all sequences together. */
  readonly kvCacheBytes: number;
  /** Bytes of the prefix cache, which keeps keys and values of sequences that have ended; 0 disables it. */
  readonly prefixCacheBytes: number;
  /** The most adapters that are loaded at the same time. */
  readonly maxAdapters: number;
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

interface LogitBias {
  readonly tokenId: number;
  readonly bias: number;
}

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

/** A sequence's place among the waiting ones. */
export interface SequenceScheduling {
  /** When its turn is due, in seconds of the service's clock; the earliest is prefilled first. */
  readonly turn: number;
  /** Each running sequence with the same id defers it by a second. */
  readonly fairnessId: string;
}

/** How the hidden states after the last norm become one vector. */
export interface EmbeddingRequest {
  readonly pooling: "last-token" | "mean" | "first-token";
  /** Keep only this many leading numbers; @default all */
  readonly dimensions?: number;
  /** Scale to length 1 after truncation. */
  readonly normalize: boolean;
}

export interface AdapterSource {
  /** Identifies the adapter and the version of its files; contains no `:`. */
  readonly key: string;
  /** Its folder, with adapter_config.json and adapters.safetensors. */
  readonly directory: string;
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

/** Drops a sequence by the next step, without any further event. Unknown sequences are ignored. */
interface CancelMessage {
  readonly type: "cancel";
  readonly sequence: number;
}

/** Drops what the prefix cache keeps of some partitions; answered by `prefixes-cleared`. */
interface ClearPrefixesMessage {
  readonly type: "clear-prefixes";
  /** Chosen by the service, and named in the answer. */
  readonly request: number;
  readonly selection: PrefixSelection;
}

/** Neither: all partitions. */
export interface PrefixSelection {
  readonly partition?: string;
  /** Every partition whose name begins with this. */
  readonly beginning?: string;
}

/** The tokens' texts, for constraints; sent once, before the first sequence with a constraint. */
export interface VocabularyMessage {
  readonly type: "vocabulary";
  /** The bytes of each token, as characters of GPT-2's byte-level alphabet; empty for tokens that are not text. */
  readonly pieces: ReadonlyArray<string>;
  /** Special tokens among them that mark tool calls. */
  readonly markerTokenIds: ReadonlyArray<number>;
}

/** Answered with a pong as soon as the thread is free. */
interface PingMessage {
  readonly type: "ping";
}

/** Asks the process to end when the device has finished its work. */
interface EndMessage {
  readonly type: "end";
}

/** It is this process's turn to compute. */
interface StartMessage {
  readonly type: "start";
}

/** It is another process's turn: answered with `stopped` after the current step. */
interface StopMessage {
  readonly type: "stop";
}

export type ToWorker =
  | LoadMessage
  | VocabularyMessage
  | SubmitMessage
  | CancelMessage
  | ClearPrefixesMessage
  | PingMessage
  | StartMessage
  | StopMessage
  | EndMessage;

/** The MLX that an engine uses. */
interface LoadedMlx {
  readonly version: string;
  readonly binding: "own" | "node-mlx";
  /** Why this one is used, in one sentence, or why the default one could not be loaded. */
  readonly reason: string;
}

/** The model is loaded and has passed its self-check. */
interface ReadyMessage {
  readonly type: "ready";
  readonly device: "cpu" | "metal";
  readonly mlx: LoadedMlx;
  readonly memory: WorkerMemory;
}

/** The model cannot be loaded; the process ends. */
interface LoadFailedMessage {
  readonly type: "load-failed";
  /** Whether the checkpoint is at fault, or the machine does not have the memory for it. */
  readonly kind: "checkpoint" | "memory";
  /** One sentence that names the file, tensor or key at fault, never a path. */
  readonly reason: string;
}

/** The answer to a ping. */
interface PongMessage {
  readonly type: "pong";
}

/** The device has no work of this process left. */
interface StoppedMessage {
  readonly type: "stopped";
}

/** The events of one step for all sequences; sent for every step, even without events. */
export interface StepMessage {
  readonly type: "step";
  readonly events: ReadonlyArray<SequenceEvent>;
  readonly memory: WorkerMemory;
  /** What was computed; missing if nothing was. */
  readonly work?: StepWork;
  /** What has changed in the prefix cache; missing where nothing has. */
  readonly prefixes?: PrefixReport;
}

/** The answer to `clear-prefixes`. */
interface PrefixesClearedMessage {
  readonly type: "prefixes-cleared";
  readonly request: number;
  readonly cleared: ClearedPrefixes;
  readonly memory: WorkerMemory;
  readonly prefixes?: PrefixReport;
}

export interface ClearedPrefixes {
  readonly entries: number;
  /** What is free now. */
  readonly bytes: number;
}

/** What has changed in the prefix cache since the last report. */
export interface PrefixReport {
  /** Over all partitions, as it is now; so are the bytes. */
  readonly entries: number;
  readonly bytes: number;
  /** Those in which something has changed. */
  readonly partitions: ReadonlyArray<PartitionReport>;
}

export interface PartitionReport {
  readonly partition: string;
  /** Sequences that looked for a beginning since the last report; so with the next three and the evictions. */
  readonly lookups: number;
  /** Tokens that they could have found. */
  readonly lookupTokens: number;
  /** Lookups that found some. */
  readonly hits: number;
  readonly hitTokens: number;
  /** Entries that were dropped for lack of room. */
  readonly evictions: number;
  /** As it is now; so are the bytes. */
  readonly entries: number;
  readonly bytes: number;
}

export interface StepWork {
  /** Sequences that were decoded together. */
  readonly rows: number;
  /** Prompt tokens that were computed. */
  readonly prefillTokens: number;
  readonly ms: number;
  /** The end of the step, in epoch milliseconds. */
  readonly at: number;
}

export interface WorkerMemory {
  /** Measured within the last 50 ms. */
  readonly residentBytes: number;
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** Live MLX arrays: weights, caches, and temporaries. */
  readonly mlxActiveBytes: number;
  /** Freed buffers that MLX keeps for new arrays. */
  readonly mlxCacheBytes: number;
  /** The peak of live arrays since the process started; 0 if the binding does not report it. */
  readonly mlxPeakBytes: number;
}

export const noMemory: WorkerMemory = {
  residentBytes: 0,
  kvCacheBytes: 0,
  prefixCacheBytes: 0,
  mlxActiveBytes: 0,
  mlxCacheBytes: 0,
  mlxPeakBytes: 0,
};

export type SequenceEvent =
  /** Its prefill begins. */
  | { readonly type: "admitted"; readonly sequence: number; readonly cachedPromptTokens: number }
  /** Part of the work before its first token is done: a slice of its prompt, or a part of its adapter. */
  | { readonly type: "progress"; readonly sequence: number }
  /** Logprobs of the prompt's next tokens, slice by slice, from the second token on: nothing precedes the first. */
  | { readonly type: "prompt"; readonly sequence: number; readonly logprobs: ReadonlyArray<TokenLogprobs> }
  | {
      readonly type: "token";
      readonly sequence: number;
      readonly tokenId: number;
      /** If requested. */
      readonly logprobs?: TokenLogprobs;
      /** Whether it was drafted. */
      readonly drafted?: true;
    }
  /** This many of its next tokens were drafted; those that were accepted follow. */
  | { readonly type: "drafted"; readonly sequence: number; readonly tokens: number }
  /** Sent after its last token. */
  | { readonly type: "finished"; readonly sequence: number; readonly reason: SequenceEnd }
  | {
      readonly type: "refused";
      readonly sequence: number;
      readonly neededBytes: number;
      readonly availableBytes: number;
    }
  /** The requested vector; the last event of this sequence. */
  | { readonly type: "embedding"; readonly sequence: number; readonly vector: Float32Array }
  /** Its adapter cannot be loaded; sent instead of `admitted`. The reason names a file, tensor or key, never a path. */
  | { readonly type: "adapter-failed"; readonly sequence: number; readonly reason: string }
  /** Its constraint cannot be enforced. */
  | { readonly type: "unconstrainable"; readonly sequence: number; readonly reason: string };

/**
 * Natural logarithms of probabilities, after penalties and bias and before filters and temperature. For forced tokens,
 * too, they say how likely the token was at its place.
 */
export interface TokenLogprobs {
  /** Of the token itself. */
  readonly logprob: number;
  /** The most likely tokens at its place, best first, as many as requested. */
  readonly top: ReadonlyArray<{ readonly tokenId: number; readonly logprob: number }>;
}

export type SequenceEnd = "stop-token" | "max-output-tokens" | "constraint-complete" | "time-budget";

/** A step threw; the process ends after this message. */
interface CrashMessage {
  readonly type: "crash";
  readonly reason: string;
}

export type FromWorker =
  | ReadyMessage
  | PongMessage
  | StoppedMessage
  | LoadFailedMessage
  | StepMessage
  | PrefixesClearedMessage
  | CrashMessage;

/** A file of mlxd's own binding. */
export interface MlxFileState {
  readonly name: string;
  /** Hexadecimal; empty if the file is missing. */
  readonly sha256: string;
  /** Whether it is identical to the published file. */
  readonly isPublished: boolean;
}

/** What `describe.ts` reports, in this order. */
export type MlxDescription =
  | { readonly type: "files"; readonly files: ReadonlyArray<MlxFileState> }
  | { readonly type: "loaded"; readonly device: "cpu" | "metal"; readonly mlx: LoadedMlx };
