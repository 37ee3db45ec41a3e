/**
 * The running requests of an engine: submitted to its process, followed to their ends, and replayed or failed if it
 * dies.
 */
import { Effect, Exit } from "effect";

import { EngineLost } from "../../domain/errors.ts";
import type { SequenceEvent } from "../../worker/protocol/sequence-events.ts";
import type { EngineFailure } from "../engine-failures.ts";
import type { EngineRun, StepTimes } from "./EngineRun.ts";
import { Runs } from "./Runs.ts";
import type { WorkerVocabulary } from "./vocabulary.ts";
import type { Watchdog } from "./Watchdog.ts";
import type { WorkerProcess } from "./WorkerProcess.ts";

/** A run and the caller that waits for it. */
interface Pending {
  readonly run: EngineRun;
  readonly resume: (exit: Exit.Exit<void, EngineFailure>) => void;
}

interface RequestParts {
  /** Id of the model. */
  readonly model: string;
  readonly vocabulary: WorkerVocabulary;
  readonly watchdog: Watchdog;
  /** Called when a token or a vector was computed. */
  readonly onDelivery: () => void;
  /** Called when the number of requests may have changed. */
  readonly onChange: () => void;
}

export class RunningRequests {
  private readonly parts: RequestParts;
  private readonly runs = new Runs<Pending>(
    (pending) => this.guarded(pending, () => this.submit(pending.run)),
    (sequence) => this.withdraw(sequence),
  );
  /** Undefined while no process takes requests. */
  private worker: WorkerProcess | undefined;

  constructor(parts: RequestParts) {
    this.parts = parts;
  }

  get size(): number {
    return this.runs.size;
  }

  /** Whether the process has only one request, which is tried alone. */
  get isTrial(): boolean {
    return this.runs.isTrial;
  }

  /** Follows a run to its end. Interruption drops it in the process's next step. */
  follow(create: (sequence: number) => EngineRun): Effect.Effect<void, EngineFailure> {
    return Effect.callback<void, EngineFailure>((resume) => {
      const pending: Pending = { run: create(this.runs.nextSequence()), resume: (exit) => resume(exit) };
      this.runs.add(pending);
      this.parts.onChange();
      return Effect.sync(() => this.drop(pending));
    });
  }

  /** Ends the run of this id as cancelled; false if there is none. */
  cancel(id: string): boolean {
    for (const pending of this.runs) {
      const { run } = pending;
      if (run.id !== id) continue;
      this.withdraw(run.sequence);
      this.guarded(pending, () => run.cancel());
      this.finish(pending, Exit.void);
      return true;
    }
    return false;
  }

  /** To be called when a process takes requests. */
  begin(worker: WorkerProcess): void {
    this.worker = worker;
    this.runs.begin();
  }

  /**
   * The process has died. Requests that cannot be replayed fail with EngineLost; the others wait for the next process.
   */
  loseProcess(reason: string | undefined): void {
    this.worker = undefined;
    const { model } = this.parts;
    const why = reason === undefined ? {} : { reason };
    for (const pending of this.runs.loseProcess()) {
      const { deaths } = pending.run;
      this.finish(pending, Exit.fail(new EngineLost({ model, how: "died", ...why, deaths })));
    }
  }

  failAll(failure: EngineFailure): void {
    for (const pending of this.runs) this.finish(pending, Exit.fail(failure));
  }

  /** Fails a sequence that has made no progress for too long while others do. */
  endStuck(sequence: number): void {
    const pending = this.runs.find(sequence);
    this.withdraw(sequence);
    const lost = new EngineLost({ model: this.parts.model, how: "stalled" });
    if (pending !== undefined) this.finish(pending, Exit.fail(lost));
  }

  /** Handles the events of one step. */
  receive(events: ReadonlyArray<SequenceEvent>, step: StepTimes | undefined): void {
    for (const event of events) {
      // Events of a dropped sequence may come for one more step.
      const pending = this.runs.find(event.sequence);
      if (pending !== undefined) this.guarded(pending, () => this.receiveOne(pending, event, step));
    }
  }

  private receiveOne(pending: Pending, event: SequenceEvent, step: StepTimes | undefined): void {
    const { model, watchdog, onDelivery } = this.parts;
    if (event.type === "admitted") watchdog.admitted(event.sequence);
    else watchdog.progressed(event.sequence);
    if (event.type === "token" || event.type === "embedding") onDelivery();
    const end = pending.run.receive(event, { model, mayDeliver: () => this.runs.passes(pending), step });
    if (end === undefined) return;
    if (end.isComputing) this.withdraw(event.sequence);
    this.finish(pending, end.exit);
  }

  private submit(run: EngineRun): void {
    const { watchdog, vocabulary } = this.parts;
    const { submission } = run;
    watchdog.given(run.sequence);
    if (this.worker === undefined) return;
    if (submission.constraint !== undefined) vocabulary.giveTo(this.worker);
    this.worker.send(submission);
  }

  /** Drops a request whose caller has left. */
  private drop(pending: Pending): void {
    if (this.runs.find(pending.run.sequence) !== pending) return;
    this.withdraw(pending.run.sequence);
    this.runs.remove(pending);
    this.parts.onChange();
  }

  /** The process drops the sequence by its next step. */
  private withdraw(sequence: number): void {
    this.parts.watchdog.ended(sequence);
    this.worker?.send({ type: "cancel", sequence });
  }

  /**
   * An exception in the work on one request (its submission, its reading, its event handler) ends that request with a defect.
   * The event loop and the other requests are not affected.
   */
  private guarded(pending: Pending, work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.withdraw(pending.run.sequence);
      this.finish(pending, Exit.die(cause));
    }
  }

  private finish(pending: Pending, exit: Exit.Exit<void, EngineFailure>): void {
    this.parts.watchdog.ended(pending.run.sequence);
    this.runs.remove(pending);
    this.parts.onChange();
    pending.resume(exit);
  }
}
