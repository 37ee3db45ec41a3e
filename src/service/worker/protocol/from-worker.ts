/** What an engine process sends to the service, over the process's IPC channel, as structured clones. */
import type { LoadedMlx } from "./mlx-description.ts";
import type { ClearedPrefixes, PrefixReport } from "./prefix-report.ts";
import type { SequenceEvent } from "./sequence-events.ts";

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

/** The answer to `clear-prefixes`. */
interface PrefixesClearedMessage {
  readonly type: "prefixes-cleared";
  readonly request: number;
  readonly cleared: ClearedPrefixes;
  readonly memory: WorkerMemory;
  readonly prefixes?: PrefixReport;
}

/** The answer to a ping. */
interface PongMessage {
  readonly type: "pong";
}

/** The device has no work of this process left. */
interface StoppedMessage {
  readonly type: "stopped";
}

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
