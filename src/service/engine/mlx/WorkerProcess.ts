/** An engine process and its channel. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Effect, type Scope } from "effect";

import { guardChannel } from "../../processes/guard-channel.ts";
import { launch } from "../../processes/launch.ts";
import type { FromWorker, ToWorker } from "../../worker/protocol.ts";
import { countOomKills, type ProcessEnd, processEnd } from "./last-words.ts";

export interface WorkerProcess {
  readonly pid: number | undefined;
  /** Ignored when the process has ended: its end is told apart. */
  readonly send: (message: ToWorker) => void;
  /** Asks it to end, and makes it where it does not. */
  readonly end: () => void;
}

interface WorkerListener {
  readonly onMessage: (message: FromWorker) => void;
  /** Once, also when it could not be started. */
  readonly onExit: (end: ProcessEnd) => void;
}

/** Starts a process. The scope owns it: closing the scope ends it. */
export type SpawnWorker = (
  environment: Readonly<Record<string, string | undefined>>,
  listener: WorkerListener,
) => Effect.Effect<WorkerProcess, never, Scope.Scope>;

/** The process lives as long as the scope and ends with the service, however that ends. */
export const spawnWorker: SpawnWorker = (environment, listener) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => start(environment, listener)),
      (child) => Effect.promise(() => end(child)),
    ),
    (child) => ({
      pid: child.pid,
      send: (message) => {
        if (child.connected) child.send(message, () => {});
      },
      end: () => void end(child),
    }),
  );

const start = (environment: Readonly<Record<string, string | undefined>>, listener: WorkerListener): ChildProcess => {
  const child = fork(fileURLToPath(new URL("../../worker/main.ts", import.meta.url)), {
    // What a step made is freed when it ends, and its wrappers die young. As V8 sets the size of their space it takes 70 MB
    // of an engine that decodes. A small one is emptied more often.
    ...launch(["--expose-gc", "--max-semi-space-size=2"]),
    env: environment,
    serialization: "advanced",
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
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
      // What concerns one request has been caught before. A process whose messages cannot be handled is of no use.
      child.kill("SIGKILL");
      exited(`a message that could not be handled: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  });
  child.once("error", (cause) => exited(`it could not be started: ${cause.message}`));
  // Unlike `exit` it comes when everything that the process wrote has been read.
  child.once("close", (code, signal) => {
    const oomKilled = signal === "SIGKILL" && !child.killed && countOomKills() > oomKillsBefore;
    exited(signal === null ? `exit code ${code}` : `signal ${signal}`, oomKilled);
  });
  return child;
};

/**
 * Asks first: a GPU whose process is killed while it computes may take macOS down with it. What does not go by itself, as
 * it is stopped or in a step without end, is killed.
 */
const end = (child: ChildProcess): Promise<void> => {
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

/** A step is shorter. */
const endMs = 2_000;
