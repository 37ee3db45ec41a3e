/**
 * What the service and an engine process say to each other, over the process's IPC channel (structured clone). The only
 * file of worker/ that the service imports; it loads nothing.
 */
import type { SequenceConstraint } from "./constraint.ts";

/** The first message to a worker. */
export interface LoadMessage {
  readonly type: "load";
  /** A checkpoint folder: config.json, weights. */
  readonly directory: string;
  readonly limits: WorkerLimits;
  /** Of the machine's memory budget, for all that the process takes. */
  readonly reservedBytes: number;
  /** Nothing is computed, and nothing loaded, but between a `start` and the next `stop`. */
  readonly takesTurns: boolean;
  /** `auto`: as stored on a GPU, in float32 on a CPU. */
  readonly weights: "auto" | "stored";
  readonly speculation: SpeculationMode;
  /** The checkpoint folder of a smaller model with the same vocabulary, to draft with. Its caches are within the limits. */
  readonly draftDirectory?: string;
}

/**
 * Whether tokens are drafted and verified several at a time: never, where that is measured to be faster, or wherever
 * there is something to draft. What comes out is the same.
 */
export type SpeculationMode = "off" | "measured" | "always";

export interface WorkerLimits {
  /** Sequences in one decode step. */
  readonly maxBatch: number;
  /** Prompt tokens computed between two decode steps. */
  readonly prefillSliceTokens: number;
  /** Bytes of KV cache over all sequences. */
  readonly kvCacheBytes: number;
  /** Bytes of what is kept of sequences that have ended; 0 keeps nothing. */
  readonly prefixCacheBytes: number;
  /** Adapters that are loaded at once. */
  readonly maxAdapters: number;
}

export interface SequenceSampling {
  readonly temperature: number;
  readonly topP: number;
  /** 0 is off. */
  readonly topK: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Added to logits before anything else; a token that is there twice gets both. */
  readonly logitBias: ReadonlyArray<LogitBias>;
  readonly seed: number;
}

/** Greedy, and nothing is penalised or filtered. */
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
  /** Chosen by the service; unique over the worker's life. */
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
  /** The form that the output must have. The vocabulary has been sent before. */
  readonly constraint?: SequenceConstraint;
  /** Tell the logprob of each token and of this many most likely ones at its place; undefined: of none. */
  readonly topLogprobs: number | undefined;
  /** Tell those of the prompt too. Its computation then starts from nothing that is cached. */
  readonly promptLogprobs: boolean;
  readonly cache: SequenceCachePolicy;
  /** Loaded where it is not. What is cached is shared only by sequences with the same. */
  readonly adapter?: AdapterSource;
  /** The prompt's vector is wanted and no output: `maxOutputTokens` is 0, and nothing is cached. */
  readonly embedding?: EmbeddingRequest;
}

/** A sequence's place among those that wait. */
export interface SequenceScheduling {
  /** When its turn is due, in seconds of the service's clock: whose is the earliest is prefilled first. */
  readonly turn: number;
  /** Each running sequence of the same defers it by a second. */
  readonly fairnessId: string;
}

/** How hidden states, after the last norm, become one vector. */
export interface EmbeddingRequest {
  readonly pooling: "last-token" | "mean" | "first-token";
  /** Keep this many of its first numbers; @default all */
  readonly dimensions?: number;
  /** To length 1, after that. */
  readonly normalize: boolean;
}

export interface AdapterSource {
  /** Tells adapters apart, also different contents of one folder; no `:` in it. */
  readonly key: string;
  /** Its folder: adapter_config.json, adapters.safetensors. */
  readonly directory: string;
}

/** Reasoning that is longer is closed by tokens that the model has not chosen. */
export interface ReasoningLimit {
  /** Tokens of reasoning at most. */
  readonly maxTokens: number;
  /** What opens reasoning where the output begins; empty if the prompt has opened it. */
  readonly openTokenIds: ReadonlyArray<number>;
  readonly closeTokenIds: ReadonlyArray<number>;
  /** What follows a close that was forced, before the model goes on. */
  readonly answerTokenIds: ReadonlyArray<number>;
}

export interface SequenceCachePolicy {
  /** Start from what is cached. */
  readonly read: boolean;
  /** Keep what is computed. */
  readonly write: boolean;
  /** Nothing is shared across partitions. */
  readonly partition: string;
  /** Keep no more than this many first tokens. */
  readonly stablePrefixTokens?: number;
}

/** Drops a sequence by the next step; nothing more is said of it. Unknown ones are ignored. */
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

/** What the tokens are, for constraints; sent once, before the first sequence that has one. */
export interface VocabularyMessage {
  readonly type: "vocabulary";
  /** The bytes of each token, a character of GPT-2's byte-level alphabet for each; empty for those that are no text. */
  readonly pieces: ReadonlyArray<string>;
  /** Special tokens among them that mark tool calls. */
  readonly markerTokenIds: ReadonlyArray<number>;
}

/** Asks for a sign of life; answered as soon as the thread is free. */
interface PingMessage {
  readonly type: "ping";
}

/** Asks the process to end, once the device has computed what it was given. */
interface EndMessage {
  readonly type: "end";
}

/** It is this process's turn to compute. */
interface StartMessage {
  readonly type: "start";
}

/** It is another's turn: answered by `stopped` after the step that is under way. */
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

/** The MLX that an engine computes with. */
interface LoadedMlx {
  readonly version: string;
  readonly binding: "own" | "node-mlx";
  /** Why it is this one: one sentence, or what kept the default one from loading. */
  readonly reason: string;
}

/** The model is loaded and agrees with itself. */
interface ReadyMessage {
  readonly type: "ready";
  readonly device: "cpu" | "metal";
  readonly mlx: LoadedMlx;
  readonly memory: WorkerMemory;
}

/** The model cannot be loaded; the process ends. */
interface LoadFailedMessage {
  readonly type: "load-failed";
  /** What is to blame: the checkpoint, or the machine, which has not the memory for it. */
  readonly kind: "checkpoint" | "memory";
  /** One sentence that names the file, tensor or key at fault, without a path. */
  readonly reason: string;
}

/** The answer to a ping. */
interface PongMessage {
  readonly type: "pong";
}

/** The device has nothing of this process left to compute. */
interface StoppedMessage {
  readonly type: "stopped";
}

/** What happened in one step, for all sequences; sent for every step, also where it brought nothing. */
export interface StepMessage {
  readonly type: "step";
  readonly events: ReadonlyArray<SequenceEvent>;
  readonly memory: WorkerMemory;
  /** What was computed; missing where nothing was. */
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
  /** When it was done, in epoch milliseconds. */
  readonly at: number;
}

export interface WorkerMemory {
  /** As it was in the last 50 ms. */
  readonly residentBytes: number;
  readonly kvCacheBytes: number;
  readonly prefixCacheBytes: number;
  /** Of MLX's arrays that are alive: weights, caches, and what is being computed. */
  readonly mlxActiveBytes: number;
  /** Of freed buffers that MLX keeps for the next arrays. */
  readonly mlxCacheBytes: number;
  /** The most that arrays took at once since the process started; 0 where the binding does not tell. */
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
  /** A part was done of what comes before its first token: a slice of its prompt, or of its adapter. */
  | { readonly type: "progress"; readonly sequence: number }
  /** The prompt's next tokens, slice by slice, from its second one on: nothing foretells the first. */
  | { readonly type: "prompt"; readonly sequence: number; readonly logprobs: ReadonlyArray<TokenLogprobs> }
  | {
      readonly type: "token";
      readonly sequence: number;
      readonly tokenId: number;
      /** Where they were asked for. */
      readonly logprobs?: TokenLogprobs;
      /** It was drafted. */
      readonly drafted?: true;
    }
  /** So many of its next tokens were drafted; the right ones follow. */
  | { readonly type: "drafted"; readonly sequence: number; readonly tokens: number }
  /** After its last token. */
  | { readonly type: "finished"; readonly sequence: number; readonly reason: SequenceEnd }
  | {
      readonly type: "refused";
      readonly sequence: number;
      readonly neededBytes: number;
      readonly availableBytes: number;
    }
  /** The vector that was asked for; the last of this sequence. */
  | { readonly type: "embedding"; readonly sequence: number; readonly vector: Float32Array }
  /** Its adapter cannot be loaded; in place of `admitted`. The reason names file, tensor or key, without a path. */
  | { readonly type: "adapter-failed"; readonly sequence: number; readonly reason: string }
  /** Its constraint cannot be held to. */
  | { readonly type: "unconstrainable"; readonly sequence: number; readonly reason: string };

/**
 * Natural logarithms of probabilities, after penalties and bias and before filters and temperature. Tokens that were
 * forced are told like any other: how likely they were where they stand.
 */
export interface TokenLogprobs {
  /** Of the token itself. */
  readonly logprob: number;
  /** The most likely tokens at its place, best first, as many as were asked for. */
  readonly top: ReadonlyArray<{ readonly tokenId: number; readonly logprob: number }>;
}

export type SequenceEnd = "stop-token" | "max-output-tokens" | "constraint-complete" | "time-budget";

/** A step threw: the process ends after this message. */
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
  /** Hexadecimal; empty where the file is missing. */
  readonly sha256: string;
  /** Whether it is the one that was published. */
  readonly isPublished: boolean;
}

/** What `describe.ts` says, in this order. */
export type MlxDescription =
  | { readonly type: "files"; readonly files: ReadonlyArray<MlxFileState> }
  | { readonly type: "loaded"; readonly device: "cpu" | "metal"; readonly mlx: LoadedMlx };
