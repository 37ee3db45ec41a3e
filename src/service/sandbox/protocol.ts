/** The messages between the service and a lane, sent over the process's IPC channel as structured clones. */

/** A job. The next one is sent when this one is done. */
export interface JobMessage {
  readonly name: string;
  readonly input: unknown;
}

export type LaneMessage =
  | { readonly type: "done"; readonly output: unknown }
  /** The job's function threw. */
  | { readonly type: "threw"; readonly message: string };

/** Passed on the lane's command line. */
export interface LaneLimits {
  /** CPU time for one job. */
  readonly timeLimitMs: number;
  /** Memory that one job may add to what the process held before it. */
  readonly memoryBytes: number;
}

/**
 * The pipe on which a lane's watchdog writes a byte at start and then at this interval while a job runs. If no byte
 * comes, the whole process stands still: it was stopped from outside, or hangs in a system call.
 */
export const signsOfLife = { descriptor: 4, everyMs: 250 } as const;

/**
 * The signals by which a lane that exceeds a limit ends itself. V8 also ends a process with SIGABRT when its heap is
 * full.
 */
export const limitSignals = { "time-limit": "SIGXCPU", "memory-limit": "SIGABRT" } as const;
