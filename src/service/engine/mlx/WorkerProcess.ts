/** An engine process and its channel. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Effect, type Scope } from "effect";

import { endFirst } from "../../processes/end-first.ts";
import { guardChannel } from "../../processes/guard-channel.ts";
import { launch } from "../../processes/launch.ts";
import type { FromWorker } from "../../worker/protocol/from-worker.ts";
import type { ToWorker } from "../../worker/protocol/to-worker.ts";
import { countOomKills, type ProcessEnd, processEnd } from "./last-words.ts";

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Ignored if the process has ended; `onExit` reports the end. */
  readonly send: (message: ToWorker) => void;
  /** Asks the process to end, and kills it if it does not. */
  readonly end: () => void;
}

export interface WorkerListener {
  readonly onMessage: (message: FromWorker) => void;
  /** Called once, even if the process could not be started. */
  readonly onExit: (end: ProcessEnd) => void;
}

/** Starts a process. The scope owns it: closing the scope ends it. */
export type SpawnWorker = (
  environment: Readonly<Record<string, string | undefined>>,
  listener: WorkerListener,
) => Effect.Effect<WorkerProcess, never, Scope.Scope>;

/** The process lives as long as the scope. It ends with the service, even if the service is killed. */
export const spawnWorker: SpawnWorker = (environment, listener) => owned(() => startWorker(environment, listener));

/** The scope ends the process. */
export const owned = (take: () => ChildProcess): Effect.Effect<WorkerProcess, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.sync(take), (child) => Effect.promise(() => endWorker(child))),
    (child) => ({
      pid: child.pid,
      send: (message) => {
        if (child.connected) child.send(message, () => {});
      },
      end: () => void endWorker(child),
    }),
  );

export const startWorker = (
  environment: Readonly<Record<string, string | undefined>>,
  listener: WorkerListener,
): ChildProcess => {
  const child = fork(fileURLToPath(new URL("../../worker/main.ts", import.meta.url)), {
    // Most objects of a step die with the step. V8's default semi-space would take 70 MB of a decoding engine; a small
    // one is collected more often.
    ...launch(["--expose-gc", "--max-semi-space-size=2"]),
    env: environment,
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  endFirst(child);
  const oomKillsBefore = countOomKills();
  let lastWords = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    lastWords = (lastWords + chunk.toString()).slice(-4000);
    if (process.stderr.writable) process.stderr.write(chunk);
  });
  let over = false;
  const exited = (how: string, oomKilled = false): void => {
    if (over) return;
    over = true;
    listener.onExit(processEnd(how, lastWords, oomKilled));
  };
  guardChannel(child, (what) => exited(`${what}, over its channel`));
  child.on("message", (message) => {
    try {
      listener.onMessage(message as FromWorker);
    } catch (cause) {
      // Errors of a single request were handled before. If its messages cannot be handled at all, the process is
      // useless.
      child.kill("SIGKILL");
      exited(`a message that could not be handled: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  });
  child.once("error", (cause) => exited(`it could not be started: ${cause.message}`));
  // Unlike `exit`, `close` comes after everything that the process wrote has been read.
  child.once("close", (code, signal) => {
    const oomKilled = signal === "SIGKILL" && !child.killed && countOomKills() > oomKillsBefore;
    exited(signal === null ? `exit code ${code}` : `signal ${signal}`, oomKilled);
  });
  return child;
};

/**
 * Asks first: killing a process whose GPU command is running can panic macOS. A process that does not end by itself,
 * because it is stopped or in an endless step, is killed.
 */
export const endWorker = (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const kill = setTimeout(() => child.kill("SIGKILL"), child.connected ? endMs : 0);
    child.once("exit", () => {
      clearTimeout(kill);
      resolve();
    });
    if (child.connected) child.send({ type: "end" } satisfies ToWorker, () => {});
  });
};

/** Longer than any step takes. */
const endMs = 2_000;
