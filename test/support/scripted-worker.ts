/** Stands in for engine processes: a test says what they send, and when they die. */
import { Effect } from "effect";

import type { SpawnWorker } from "../../src/service/engine/mlx/WorkerProcess.ts";
import { type FromWorker, noMemory as none, type WorkerMemory } from "../../src/service/worker/protocol/from-worker.ts";
import type { ToWorker } from "../../src/service/worker/protocol/to-worker.ts";

export const noMemory: WorkerMemory = { ...none, residentBytes: 1 };

export interface ScriptedWorker {
  /** What it was sent, in order. */
  readonly received: ToWorker[];
  readonly say: (message: FromWorker) => void;
  readonly die: (how: string, cause?: "memory" | "no-mlx") => void;
  /** Whether it was ended by the service. */
  killed: boolean;
  closed: boolean;
}

export interface ScriptedWorkers {
  readonly spawn: SpawnWorker;
  /** Every process that was started, the last one last. */
  readonly started: ScriptedWorker[];
}

/** @param onMessage what a process does with what it is sent */
export const scriptedWorkers = (onMessage: (worker: ScriptedWorker, message: ToWorker) => void): ScriptedWorkers => {
  const started: ScriptedWorker[] = [];
  const spawn: SpawnWorker = (_environment, listener) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const worker: ScriptedWorker = {
          received: [],
          say: (message) => listener.onMessage(message),
          die: (how, cause) => listener.onExit({ how, cause }),
          killed: false,
          closed: false,
        };
        started.push(worker);
        return {
          worker,
          process: {
            pid: undefined,
            send: (message: ToWorker): void => {
              worker.received.push(message);
              onMessage(worker, message);
            },
            end: (): void => {
              worker.killed = true;
              worker.die("signal SIGKILL");
            },
          },
        };
      }),
      ({ worker }) => Effect.sync(() => void (worker.closed = true)),
    ).pipe(Effect.map(({ process }) => process));
  return { spawn, started };
};

/** Becomes ready as soon as it is told to load, and answers pings. */
export const wellBehaved = (worker: ScriptedWorker, message: ToWorker): void => {
  if (message.type === "load") worker.say({ type: "ready", device: "cpu", mlx, memory: noMemory });
  if (message.type === "ping") worker.say({ type: "pong" });
};

const mlx = { version: "0.32.4", binding: "own", reason: "it is the default" } as const;
