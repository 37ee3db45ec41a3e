/**
 * An engine process that has no model yet. Node and MLX take longer to start than most models take to load, so the process is
 * started as soon as a load is foreseen, and loads MLX while the sandbox reads the model's files.
 */
import type { ChildProcess } from "node:child_process";
import { Effect, type Scope } from "effect";

import { endWorker, owned, type SpawnWorker, startWorker, type WorkerListener } from "./WorkerProcess.ts";

export class SpareWorker {
  private readonly environment: Readonly<Record<string, string | undefined>>;
  private spare: Spare | undefined;

  /** @param environment of the processes that it keeps ready */
  constructor(environment: Readonly<Record<string, string | undefined>>) {
    this.environment = environment;
  }

  /** Starts the process unless there is one. The scope ends it, and so does time, unless an engine has taken it. */
  readonly prepare: Effect.Effect<void, never, Scope.Scope> = Effect.asVoid(
    Effect.acquireRelease(
      Effect.sync(() => (this.spare === undefined ? this.start() : undefined)),
      (spare) => Effect.promise(() => this.end(spare)),
    ),
  );

  /** Gives the process that is ready to one engine, and starts one where none is. */
  readonly spawn: SpawnWorker = (environment, listener) =>
    owned(
      () => (environment === this.environment ? this.take(listener) : undefined) ?? startWorker(environment, listener),
    );

  private start(): Spare {
    const spare: Spare = {
      child: startWorker(this.environment, {
        onMessage: (message) => spare.listener?.onMessage(message),
        onExit: (end) => {
          // What it died of, the process that is started in its place says again.
          if (this.spare === spare) this.forget();
          spare.listener?.onExit(end);
        },
      }),
      listener: undefined,
      timer: setTimeout(() => void this.end(spare), unusedMs),
    };
    spare.timer.unref();
    this.spare = spare;
    return spare;
  }

  /** Does nothing if an engine has taken it. */
  private async end(spare: Spare | undefined): Promise<void> {
    if (spare === undefined || this.spare !== spare) return;
    this.forget();
    await endWorker(spare.child);
  }

  private take(listener: WorkerListener): ChildProcess | undefined {
    const { spare } = this;
    this.forget();
    // Its exit is told when all that it wrote has been read, which is later than it is known.
    if (spare === undefined || spare.child.exitCode !== null || spare.child.signalCode !== null) return undefined;
    spare.listener = listener;
    return spare.child;
  }

  private forget(): void {
    clearTimeout(this.spare?.timer);
    this.spare = undefined;
  }
}

interface Spare {
  readonly child: ChildProcess;
  /** Of the engine that took it. */
  listener: WorkerListener | undefined;
  readonly timer: NodeJS.Timeout;
}

/** A load that waits longer for room in memory starts a process of its own. */
const unusedMs = 30_000;
