/**
 * Decides which job runs in which process (lane). Callers take turns, and each runs at most one small and one large job
 * at a time. Small jobs have lanes of their own, so that they never wait behind a large one. A job prefers a lane that
 * has worked for its subject before, because the model's tokenizer is loaded there. It waits for that lane while the
 * lane's current job is quick; once that job is slow, it takes another lane.
 */
import type { SandboxSettings } from "../config/SandboxConfig.ts";
import type { JobFailureReason } from "./JobFailed.ts";
import { Lane } from "./Lane.ts";
import type { LaneMessage } from "./protocol.ts";
import { WaitingJobs } from "./WaitingJobs.ts";

export interface PooledJob {
  readonly name: string;
  readonly input: unknown;
  readonly isLarge: boolean;
  /**
   * The caller whose turn the job takes; undefined for the service's own jobs, which go first and are never refused.
   */
  readonly share: string | undefined;
  /** What the job works with, e.g. a model's folder. One subject never occupies all lanes for small jobs. */
  readonly subject: string;
  /** Whether nothing stays loaded of it, so that its lane is as good as a new one for any other subject. */
  readonly isForgotten: boolean;
  readonly onOutput: (output: unknown) => void;
  readonly onFailure: (reason: JobFailureReason, how: string) => void;
}

export interface LanePoolOptions extends SandboxSettings {
  readonly log: (event: string, details: Readonly<Record<string, string | number>>) => void;
}

interface PooledLane {
  readonly lane: Lane;
  readonly isLarge: boolean;
  readonly subjects: Set<string>;
  job: Running | undefined;
  idleTimer: NodeJS.Timeout | undefined;
}

interface Running {
  readonly job: Job;
  /** Whether it has been running for longer than `slowAfterMs`. */
  slow: boolean;
  readonly timers: ReadonlyArray<NodeJS.Timeout>;
  readonly endSilenceWatch: () => void;
}

interface Job extends PooledJob {
  /** How many lanes ended while running it. */
  crashes: number;
  /** Whether nobody waits for its result any more. */
  abandoned: boolean;
}

export class LanePool {
  private readonly options: LanePoolOptions;
  private readonly lanes = new Set<PooledLane>();
  private readonly waiting = new WaitingJobs<Job>();
  private closed = false;

  constructor(options: LanePoolOptions) {
    this.options = options;
  }

  /** Starts a lane for small jobs, so that the first does not wait for it. */
  warm(): void {
    if (this.lanes.size === 0) this.open(false);
  }

  /** Returns a function that abandons the job. */
  submit(pooled: PooledJob): () => void {
    const job: Job = { ...pooled, crashes: 0, abandoned: false };
    const refused = this.waiting.add(job);
    refused?.job.onFailure("queue-full", `waits behind ${refused.before} others`);
    if (refused?.job !== job) this.assign();
    return () => this.abandon(job);
  }

  /** Kills all lanes. Jobs that are running or waiting never call back. */
  close(): void {
    this.closed = true;
    this.waiting.clear();
    for (const pooled of this.lanes) this.discard(pooled);
  }

  private abandon(job: Job): void {
    job.abandoned = true;
    this.waiting.remove(job);
    const pooled = [...this.lanes].find((each) => each.job?.job === job);
    // A quick job ends by itself, and a lane with its loaded tokenizers is worth keeping.
    if (pooled?.job?.slow === true) this.replace(pooled);
  }

  /** Starts waiting jobs, turn by turn, while there are lanes for them. */
  private assign(): void {
    if (this.closed) return;
    const begin = (job: Job): boolean => {
      const pooled = this.laneFor(job);
      if (pooled !== undefined) this.begin(pooled, job);
      return pooled !== undefined;
    };
    while (this.waiting.take(begin)) continue;
  }

  private laneFor(job: Job): PooledLane | undefined {
    const { isLarge, subject, isForgotten, share } = job;
    const own = [...this.lanes].filter((pooled) => pooled.isLarge === isLarge);
    // At most one small and one large job of a caller run at once, so that its small jobs do not wait for its large
    // one.
    if (share !== undefined && own.some((pooled) => pooled.job?.job.share === share)) return undefined;
    const known = own.filter((pooled) => pooled.subjects.has(subject));
    const ready = known.find((pooled) => pooled.job === undefined);
    if (ready !== undefined) return ready;
    if (known.some((pooled) => pooled.job?.slow === false)) return undefined;
    const most = isLarge ? largeLanes : this.options.lanes;
    const busy = own.filter((pooled) => pooled.job?.job.subject === subject).length;
    if (busy >= Math.max(1, most - 1)) return undefined;
    const idle = own.filter((pooled) => pooled.job === undefined);
    const unused = idle.find((pooled) => pooled.subjects.size === 0);
    if (unused !== undefined) return unused;
    // Starting a process takes longer than most jobs. What stays loaded is worth it, and keeps models apart.
    if (isForgotten && idle[0] !== undefined) return idle[0];
    return own.length < most ? this.open(isLarge) : idle[0];
  }

  private begin(pooled: PooledLane, job: Job): void {
    clearTimeout(pooled.idleTimer);
    pooled.subjects.add(job.subject);
    // Keeps the set in order of last use: the least recently used idle lane is the first to be given to another
    // subject.
    this.lanes.delete(pooled);
    this.lanes.add(pooled);
    const running: Running = {
      job,
      slow: false,
      timers: [
        setTimeout(() => {
          running.slow = true;
          this.assign();
        }, slowAfterMs),
        setTimeout(() => pooled.lane.yieldToOthers(), yieldAfterMs),
        setTimeout(() => pooled.lane.endOverdue(), this.options.timeLimitMs * longestWait),
      ],
      endSilenceWatch: pooled.lane.watchSilence(this.options.timeLimitMs + silenceGraceMs),
    };
    pooled.job = running;
    try {
      pooled.lane.send({ name: job.name, input: job.input });
    } catch (error) {
      // The input is nested too deep for a structured clone.
      const message = error instanceof Error ? error.message : "it cannot be cloned";
      queueMicrotask(() => this.onMessage(pooled, { type: "threw", message }));
    }
  }

  private open(isLarge: boolean): PooledLane {
    const { timeLimitMs, memoryBytes, environment } = this.options;
    const pooled: PooledLane = {
      isLarge,
      lane: new Lane({ timeLimitMs, memoryBytes }, environment, isLarge, {
        onMessage: (message) => this.onMessage(pooled, message),
        onExit: (reason, how) => this.onExit(pooled, reason, how),
      }),
      subjects: new Set(),
      job: undefined,
      idleTimer: undefined,
    };
    this.lanes.add(pooled);
    this.watchIdle(pooled);
    return pooled;
  }

  private onMessage(pooled: PooledLane, message: LaneMessage): void {
    if (!this.lanes.has(pooled)) return;
    const job = this.take(pooled);
    if (!pooled.lane.resumePriority()) this.replace(pooled);
    this.watchIdle(pooled);
    if (job !== undefined && !job.abandoned) {
      if (message.type === "done") job.onOutput(message.output);
      else job.onFailure("threw", `fails: ${message.message}`);
    }
    this.assign();
  }

  private onExit(pooled: PooledLane, reason: JobFailureReason, how: string): void {
    if (!this.lanes.has(pooled)) return;
    const job = this.take(pooled);
    this.discard(pooled);
    this.options.log("a sandbox process ended", { reason, how, ...(job !== undefined && { job: job.name }) });
    if (job !== undefined && !job.abandoned) {
      job.crashes += 1;
      // The job may not be the cause, e.g. if the system ran out of memory: it is tried once more.
      if ((reason === "crashed" || reason === "killed") && job.crashes < 2) this.waiting.addFirst(job);
      else job.onFailure(reason, this.described(reason));
    }
    this.assign();
  }

  private described(reason: JobFailureReason): string {
    const { timeLimitMs, memoryBytes } = this.options;
    switch (reason) {
      case "time-limit":
        return `takes more than ${timeLimitMs} ms`;
      case "memory-limit":
        return `takes more than ${memoryBytes} bytes of memory`;
      case "killed":
        return "lost the process that does it: it was ended from outside, twice";
      default:
        return "ends the process that does it";
    }
  }

  private take(pooled: PooledLane): Job | undefined {
    const { job: running } = pooled;
    for (const timer of running?.timers ?? []) clearTimeout(timer);
    running?.endSilenceWatch();
    pooled.job = undefined;
    if (running?.job.isForgotten === true) pooled.subjects.delete(running.job.subject);
    return running?.job;
  }

  /** Ends a lane and starts a new one in its place if it was one for small jobs. */
  private replace(pooled: PooledLane): void {
    this.take(pooled);
    this.discard(pooled);
    if (!pooled.isLarge && !this.closed) this.open(false);
    this.assign();
  }

  private discard(pooled: PooledLane): void {
    clearTimeout(pooled.idleTimer);
    this.lanes.delete(pooled);
    pooled.lane.kill();
  }

  /** Ends a lane that stays idle, except the last one for small jobs. */
  private watchIdle(pooled: PooledLane): void {
    clearTimeout(pooled.idleTimer);
    if (!this.lanes.has(pooled)) return;
    const end = (): void => {
      const others = [...this.lanes].filter((other) => other !== pooled && !other.isLarge);
      if (pooled.isLarge || others.length > 0) this.discard(pooled);
    };
    pooled.idleTimer = setTimeout(end, pooled.isLarge ? largeIdleMs : smallIdleMs);
    pooled.idleTimer.unref();
  }
}

/** Other jobs of its subject stop waiting for the lane of a job that runs for longer than this. */
const slowAfterMs = 100;
/** A job that runs for longer lets other processes of the machine go first. Lanes for large jobs always do. */
const yieldAfterMs = 1000;
/** Two, so that a second large input does not have to wait until the first is done. */
const largeLanes = 2;
const largeIdleMs = 30_000;
/** Long, because loading a tokenizer again costs about a second. */
const smallIdleMs = 600_000;
/**
 * The limit is CPU time, and reading a model's files is allowed several times as much. A process that is still running
 * after this many times the limit in wall-clock time is ended from outside.
 */
const longestWait = 20;
/**
 * A stopped process uses no CPU and never reaches its limit. It is ended after being silent for the limit and this
 * long.
 */
const silenceGraceMs = 1_000;
