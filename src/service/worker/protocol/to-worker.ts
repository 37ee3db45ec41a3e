/**
 * What the service sends to an engine process, over the process's IPC channel, as structured clones.
 */
import type { SubmitMessage } from "./submit-message.ts";

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
  /** The form of the weights in memory. `auto`: as stored on a GPU, in float32 on a CPU. */
  readonly weights: "auto" | "stored" | "bfloat16";
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

/** The tokens' texts, for constraints; sent once, before the first sequence with a constraint. */
export interface VocabularyMessage {
  readonly type: "vocabulary";
  /** The bytes of each token, as characters of GPT-2's byte-level alphabet; empty for tokens that are not text. */
  readonly pieces: ReadonlyArray<string>;
  /** Special tokens among them that mark tool calls. */
  readonly markerTokenIds: ReadonlyArray<number>;
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

/** Answered with a pong as soon as the thread is free. */
interface PingMessage {
  readonly type: "ping";
}

/** It is this process's turn to compute. */
interface StartMessage {
  readonly type: "start";
}

/** It is another process's turn: answered with `stopped` after the current step. */
interface StopMessage {
  readonly type: "stop";
}

/** Asks the process to end when the device has finished its work. */
interface EndMessage {
  readonly type: "end";
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
