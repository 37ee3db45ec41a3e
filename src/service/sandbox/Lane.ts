/** One process of the sandbox. A crash, a leak or an endless loop in a job stays inside it. */
import { type ChildProcess, fork } from "node:child_process";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";

import { endFirst } from "../processes/end-first.ts";
import { guardChannel } from "../processes/guard-channel.ts";
import { launch } from "../processes/launch.ts";
import type { JobFailureReason } from "./JobFailed.ts";
import { type JobMessage, type LaneLimits, type LaneMessage, limitSignals, signsOfLife } from "./protocol.ts";

export interface LaneListener {
  readonly onMessage: (message: LaneMessage) => void;
  /** Called once. `how` is a short phrase for logs, e.g. `signal SIGKILL`. */
  readonly onExit: (reason: Exclude<JobFailureReason, "threw" | "queue-full">, how: string) => void;
}

export class Lane {
  private readonly child: ChildProcess;
  private overdue = false;
  /** The priority between jobs, which `resumePriority` restores. */
  private readonly ownPriority: number;
  private niced = false;
  /** `lives`: it has given a sign of life since it started. `heard`: it has given one since the last check. */
  private lives = false;
  private heard = false;
  /** The last 2000 characters that it wrote to standard error. */
  private lastWords = "";

  /** @param isLarge for large inputs only: runs at a lowered priority from the start */
  constructor(
    limits: LaneLimits,
    environment: Readonly<Record<string, string | undefined>>,
    isLarge: boolean,
    listener: LaneListener,
  ) {
    const child = fork(fileURLToPath(new URL("./lane/main.ts", import.meta.url)), [JSON.stringify(limits)], {
      ...launch([`--max-old-space-size=${Math.ceil((limits.memoryBytes + keptBytes) / 1024 ** 2)}`]),
      env: environment,
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc", "pipe"],
    });
    this.child = child;
    endFirst(child);
    this.ownPriority = isLarge ? lowered : normal;
    if (isLarge) this.setPriority(lowered);
    let over = false;
    const exited = (how: string, reason: ReturnType<typeof reasonOf>): void => {
      if (over) return;
      over = true;
      listener.onExit(this.overdue ? "time-limit" : reason, how);
    };
    child.stderr?.on("data", (chunk: Buffer) => (this.lastWords = (this.lastWords + chunk.toString()).slice(-2000)));
    // Where the service has no descriptors left there are no streams, and the process fails to start.
    const streams = child.stdio as typeof child.stdio | undefined;
    streams?.[signsOfLife.descriptor]?.on("data", () => (this.lives = this.heard = true));
    guardChannel(child, (what) => exited(`${what}, over its channel`, "crashed"));
    child.on("message", (message) => {
      this.lives = this.heard = true;
      listener.onMessage(message as LaneMessage);
    });
    child.once("error", (cause) => exited(`it could not be started: ${cause.message}`, "killed"));
    child.once("exit", (code, signal) => {
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      exited([how, this.lastWords.trim()].filter(Boolean).join(": "), reasonOf(signal));
    });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** If the process has ended, the message is dropped: `onExit` reports the end. */
  send(message: JobMessage): void {
    if (this.child.connected) this.child.send(message, () => {});
  }

  /** Ends a lane that exceeded the time limit and that its own watchdog did not end. */
  endOverdue(): void {
    this.overdue = true;
    this.kill();
  }

  /**
   * Ends the process if it gives no sign of life for `limitMs`; a process that is still starting gets more time.
   * Silence is counted in checks, not by the clock: time that the service or the machine itself was suspended does not
   * count.
   *
   * @returns a function that stops watching
   */
  watchSilence(limitMs: number): () => void {
    let silentMs = 0;
    this.heard = false;
    const look = (): void => {
      silentMs = this.heard ? 0 : silentMs + signsOfLife.everyMs;
      this.heard = false;
      if (silentMs >= (this.lives ? limitMs : Math.max(limitMs, longestStartMs))) this.kill();
    };
    const timer = setInterval(look, signsOfLife.everyMs);
    return () => clearInterval(timer);
  }

  kill(): void {
    // Node may send the signal to any process where there is none: its handle then has a number that nobody has set.
    if (this.child.pid !== undefined) this.child.kill("SIGKILL");
  }

  /** Lowers the priority below that of other processes, such as the engines. */
  yieldToOthers(): void {
    if (this.ownPriority !== lowered) this.niced = this.setPriority(lowered);
  }

  /** Restores the priority. False if the operating system allows that only to the superuser. */
  resumePriority(): boolean {
    if (this.niced) this.niced = !this.setPriority(this.ownPriority);
    return !this.niced;
  }

  private setPriority(priority: number): boolean {
    if (this.child.pid === undefined) return false;
    try {
      setPriority(this.child.pid, priority);
      return true;
    } catch {
      return false;
    }
  }
}

/** How long a process may take to start, even on a busy machine. */
const longestStartMs = 30_000;

/** What a lane caches between jobs is not counted against a job's memory limit. */
const keptBytes = 512 * 1024 ** 2;

const reasonOf = (signal: NodeJS.Signals | null): "time-limit" | "memory-limit" | "crashed" | "killed" => {
  if (signal === limitSignals["time-limit"]) return "time-limit";
  if (signal === limitSignals["memory-limit"]) return "memory-limit";
  return signal !== null && fromOutside.has(signal) ? "killed" : "crashed";
};

/**
 * Signals that a process does not send itself: the system sends SIGKILL when it runs out of memory, people send the
 * others.
 */
const fromOutside: ReadonlySet<NodeJS.Signals> = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"]);

const normal = 0;
/**
 * Gives a lane about a sixteenth of a normal process's share of a CPU under contention. With a third (5) some large inputs
 * made a neighbour's first token come 2.1 to 2.3 times as late, on two cores; with this, 1.96 times at most.
 */
const lowered = 12;
