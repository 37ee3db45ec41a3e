/** One process of the sandbox. Whatever happens in it ends there. */
import { type ChildProcess, fork } from "node:child_process";
import { setPriority } from "node:os";
import { fileURLToPath } from "node:url";

import { guardChannel } from "../processes/guard-channel.ts";
import { launch } from "../processes/launch.ts";
import type { JobFailureReason } from "./JobFailed.ts";
import { type JobMessage, type LaneLimits, type LaneMessage, limitSignals, signsOfLife } from "./protocol.ts";

export interface LaneListener {
  readonly onMessage: (message: LaneMessage) => void;
  /** Once. `how` is a short phrase for logs, e.g. `signal SIGKILL`. */
  readonly onExit: (reason: Exclude<JobFailureReason, "threw" | "queue-full">, how: string) => void;
}

export class Lane {
  private readonly child: ChildProcess;
  private overdue = false;
  /** What it has between jobs. */
  private readonly ownPriority: number;
  private niced = false;
  /** Whether it has ever given a sign of life, and whether it has since that was last asked. */
  private lives = false;
  private heard = false;
  /** The end of what it wrote to standard error. */
  private lastWords = "";

  /** @param isLarge it works on large inputs alone, which others of this machine come before from the first moment on */
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
    this.ownPriority = isLarge ? lowered : normal;
    if (isLarge) this.setPriority(lowered);
    let over = false;
    const exited = (how: string, reason: ReturnType<typeof reasonOf>): void => {
      if (over) return;
      over = true;
      listener.onExit(this.overdue ? "time-limit" : reason, how);
    };
    child.stderr?.on("data", (chunk: Buffer) => (this.lastWords = (this.lastWords + chunk.toString()).slice(-2000)));
    child.stdio[signsOfLife.descriptor]?.on("data", () => (this.lives = this.heard = true));
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

  /** When it has ended the message is lost: its end is told apart. */
  send(message: JobMessage): void {
    if (this.child.connected) this.child.send(message, () => {});
  }

  /** A lane whose own watchdog has not ended it in time. */
  endOverdue(): void {
    this.overdue = true;
    this.kill();
  }

  /**
   * Ends the process when no sign of life has come from it for so long; one that is still starting has more time.
   * Counted by looks, not by the clock: what the service or the machine itself slept through is not the lane's silence.
   *
   * @returns what ends the watch
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
    this.child.kill("SIGKILL");
  }

  /** Others of this machine come first, the engines above all. */
  yieldToOthers(): void {
    if (this.ownPriority !== lowered) this.niced = this.setPriority(lowered);
  }

  /** False where only the superuser could take `yieldToOthers` back. */
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

/** A process that has not come up by then is not coming up, on a busy machine either. */
const longestStartMs = 30_000;

/** What a lane keeps from job to job comes beside the limit of a job. */
const keptBytes = 512 * 1024 ** 2;

const reasonOf = (signal: NodeJS.Signals | null): "time-limit" | "memory-limit" | "crashed" | "killed" => {
  if (signal === limitSignals["time-limit"]) return "time-limit";
  if (signal === limitSignals["memory-limit"]) return "memory-limit";
  return signal !== null && fromOutside.has(signal) ? "killed" : "crashed";
};

/** No process sends itself one of these; the system does where memory runs out, and so do people. */
const fromOutside: ReadonlySet<NodeJS.Signals> = new Set(["SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"]);

const normal = 0;
/** A third of what others get where they all want the CPU: enough to end within its time on a busy machine. */
const lowered = 5;
