/**
 * Which job runs where. Callers take turns, and have one place each. Small jobs have lanes of their own, so that none waits behind a large one. A job goes to a lane
 * that has already done something of its subject (a model's tokenizer is loaded there), and waits for that lane while
 * the job that it has now is quick; where it is not, the lane is given up and another one takes over.
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
  /** Whose turn it takes; undefined for the service's own, which goes first and is never refused. */
  readonly share: string | undefined;
  /** What the job works with, e.g. a model's folder. One subject never has all lanes for small jobs. */
  readonly subject: string;
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
  /** It has run for long. */
  slow: boolean;
  readonly timers: ReadonlyArray<NodeJS.Timeout>;
  readonly endSilenceWatch: () => void;
}

interface Job extends PooledJob {
  /** Lanes that crashed under it. */
  crashes: number;
  /** Nobody waits for its result any more. */
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

  /** Returns how to abandon it. */
  submit(pooled: PooledJob): () => void {
    const job: Job = { ...pooled, crashes: 0, abandoned: false };
    const refused = this.waiting.add(job);
    refused?.job.onFailure("queue-full", `waits behind ${refused.before} others`);
    if (refused?.job !== job) this.assign();
    return () => this.abandon(job);
  }

  /** Jobs that run have no result any more, nor an end. */
  close(): void {
    this.closed = true;
    this.waiting.clear();
    for (const pooled of this.lanes) this.discard(pooled);
  }

  private abandon(job: Job): void {
    job.abandoned = true;
    this.waiting.remove(job);
    const pooled = [...this.lanes].find((each) => each.job?.job === job);
    // A quick one ends by itself, and its lane is worth more than it.
    if (pooled?.job?.slow === true) this.replace(pooled);
  }

  /** Gives out what waits, turn by turn, as far as there are lanes for it. */
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
    const { isLarge, subject, share } = job;
    const own = [...this.lanes].filter((pooled) => pooled.isLarge === isLarge);
    // One place for small inputs and one for large: who sends both waits for no large one of its own either.
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
    return own.length < most ? this.open(isLarge) : idle[0];
  }

  private begin(pooled: PooledLane, job: Job): void {
    clearTimeout(pooled.idleTimer);
    pooled.subjects.add(job.subject);
    // The last used is the last that is given to another subject.
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
      // What is nested too deep to be cloned.
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
      // Whatever else ended it, e.g. the system for want of memory: it is tried once more.
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
    return running?.job;
  }

  /** A fresh process in the place of one that is of no more use. */
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

  /** One lane for small jobs stays. */
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

/** A job that runs for longer is not waited for by others of its subject. */
const slowAfterMs = 100;
/** From then on others of this machine come first, as they do before a lane for large jobs at all times. */
const yieldAfterMs = 1000;
/** Two, so that the second large input does not wait for a first that takes all its time. */
const largeLanes = 2;
const largeIdleMs = 30_000;
/** A lane holds tokenizers that cost a second to load. */
const smallIdleMs = 600_000;
/**
 * The time limit is of CPU, and reading a model's files has several times of it: a process that its watchdog has not ended
 * in so many times the limit is ended from outside.
 */
const longestWait = 20;
/** A lane that is stopped uses no CPU: it is ended when it has been silent for its time and this much more. */
const silenceGraceMs = 1_000;
