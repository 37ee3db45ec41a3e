/** What the service and a lane say to each other, over the process's IPC channel (structured clone). */

/** One after another: the next is sent when the one before is done. */
export interface JobMessage {
  readonly name: string;
  readonly input: unknown;
}

export type LaneMessage =
  | { readonly type: "done"; readonly output: unknown }
  /** The job's function threw. */
  | { readonly type: "threw"; readonly message: string };

/** Told on the lane's command line. */
export interface LaneLimits {
  /** Of CPU, for one job. */
  readonly timeLimitMs: number;
  /** For one job, beside what was held before it. */
  readonly memoryBytes: number;
}

/**
 * The pipe on which a lane's watchdog writes a byte when it starts, and then again and again while a job runs. Where none comes
 * the whole process stands still: it is stopped from outside, or in a system call that does not return.
 */
export const signsOfLife = { descriptor: 4, everyMs: 250 } as const;

/** How a lane that passes a limit ends itself. V8 ends a process with SIGABRT, too, when its heap is full. */
export const limitSignals = { "time-limit": "SIGXCPU", "memory-limit": "SIGABRT" } as const;
