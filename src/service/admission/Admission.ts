/** Each model's bounded queue in front of its engine. */
import { Context, Deferred, Effect, Layer, type Scope } from "effect";

import { AdmissionConfig, type AdmissionSettings } from "../config/AdmissionConfig.ts";
import { elapsedMs } from "../domain/elapsed.ts";
import { type Draining, QueueFull } from "../domain/errors.ts";
import type { SchedulingHints } from "../domain/generation-task.ts";
import { deferralPerRunning, turnOf } from "../domain/turn.ts";
import { Stats } from "../telemetry/Stats.ts";

export interface TaskSize {
  /** Answers that it generates at once; @default 1 */
  readonly candidates?: number;
  /** Tokens of its prompt, if they are known; @default 0 */
  readonly promptTokens?: number;
}

export interface QueueLoad {
  /** Places that are taken. */
  readonly taken: number;
  /** Tasks that wait. */
  readonly waiting: number;
  readonly waitingPromptTokens: number;
}

export class Admission extends Context.Service<
  Admission,
  {
    /**
     * Waits for a place in the model's engine. Closing the scope gives the place back. Requests are admitted in the order of
     * their turns (domain/turn.ts): by priority, and first come, first served among equals. The caller limits the wait.
     *
     * Each candidate takes a place, up to all places that there are. The request is admitted once all of its places are free;
     * requests with a later turn wait until then.
     */
    readonly admit: (
      model: string,
      hints: SchedulingHints,
      size?: TaskSize,
    ) => Effect.Effect<void, QueueFull | Draining, Scope.Scope>;
    /**
     * From now on nobody waits: requests that wait, or would have to, fail with this error. Free places are still
     * given.
     */
    readonly refuseWaiting: (refusal: Draining) => Effect.Effect<void>;
    /** Whether `refuseWaiting` was called. */
    readonly refusesWaiting: () => boolean;
    /** By model, for all models that were ever requested. A plain function, because it is called often. */
    readonly load: () => ReadonlyMap<string, QueueLoad>;
    /**
     * Milliseconds since the model last had an interactive generation that waited or ran: 0 while it has one, Infinity
     * if it never had one. @param now epoch milliseconds
     */
    readonly interactiveQuietMs: (model: string, now: number) => number;
  }
>()("mlxd/admission/Admission") {
  static readonly layer: Layer.Layer<Admission, never, AdmissionConfig | Stats> = Layer.effect(
    Admission,
    Effect.gen(function* () {
      const settings = yield* AdmissionConfig;
      const stats = yield* Stats;
      const queues = new Map<string, ModelQueue>();
      let refusal: Draining | undefined;
      const queueOf = (model: string): ModelQueue => {
        const queue = queues.get(model) ?? new ModelQueue(model, settings, stats, () => refusal);
        queues.set(model, queue);
        return queue;
      };
      return Admission.of({
        admit: (model, hints, size = {}) => queueOf(model).admit(hints, size),
        load: () => new Map([...queues].map(([model, queue]) => [model, queue.load])),
        refusesWaiting: () => refusal !== undefined,
        refuseWaiting: (error) =>
          Effect.sync(() => {
            refusal = error;
            for (const queue of queues.values()) queue.refuseWaiting(error);
          }),
        interactiveQuietMs: (model, now) => queues.get(model)?.interactiveQuietMs(now) ?? Infinity,
      });
    }),
  );
}

interface Waiting {
  readonly hints: SchedulingHints;
  readonly places: number;
  readonly promptTokens: number;
  readonly since: number;
  readonly admitted: Deferred.Deferred<void, Draining>;
  /** Set when it has its places; undefined while it waits, and after it was refused. */
  begun?: true;
}

/** The retry delay for a refused caller: about the duration of one generation. */
const retryAfterMs = 1_000;

class ModelQueue {
  private readonly model: string;
  private readonly settings: AdmissionSettings;
  private readonly stats: Stats["Service"];
  /** The error for those who would have to wait; undefined if they may. */
  private readonly refusal: () => Draining | undefined;
  private readonly waiting = new Set<Waiting>();
  /** Places taken. */
  private running = 0;
  /** Generations that wait or run and are not items of a job. */
  private interactive = 0;
  /** When there last was one, in epoch milliseconds. */
  private lastInteractive = -Infinity;
  /** Places taken by fairness id. Requests without one share the empty id. */
  private readonly runningOf = new Map<string, number>();

  constructor(
    model: string,
    settings: AdmissionSettings,
    stats: Stats["Service"],
    refusal: () => Draining | undefined,
  ) {
    this.model = model;
    this.settings = settings;
    this.stats = stats;
    this.refusal = refusal;
  }

  readonly admit = (
    hints: SchedulingHints,
    { candidates = 1, promptTokens = 0 }: TaskSize,
  ): Effect.Effect<void, QueueFull | Draining, Scope.Scope> => {
    const places = Math.min(candidates, this.settings.maxRunning);
    const place = Effect.acquireRelease(
      Effect.flatMap(elapsedMs, (now) => this.acquire({ hints, places, promptTokens, since: now })),
      () => Effect.sync(() => this.release(hints, places)),
      { interruptible: true },
    );
    return hints.background === true ? place : Effect.andThen(this.countInteractive, place);
  };

  refuseWaiting(refusal: Draining): void {
    for (const own of this.waiting) {
      // Removed first, because a caller that is refused leaves immediately and must not be found here.
      this.waiting.delete(own);
      this.stats.move(this.model, "queued", -1);
      Deferred.doneUnsafe(own.admitted, Effect.fail(refusal));
    }
  }

  get load(): QueueLoad {
    let waitingPromptTokens = 0;
    for (const { promptTokens } of this.waiting) waitingPromptTokens += promptTokens;
    return { taken: this.running, waiting: this.waiting.size, waitingPromptTokens };
  }

  interactiveQuietMs(now: number): number {
    return this.interactive > 0 ? 0 : Math.max(0, now - this.lastInteractive);
  }

  private get countInteractive(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => void (this.interactive += 1)),
      () =>
        Effect.map(elapsedMs, (now) => {
          this.interactive -= 1;
          this.lastInteractive = now;
        }),
    );
  }

  private acquire(task: Omit<Waiting, "admitted">): Effect.Effect<void, QueueFull | Draining> {
    const { hints, places } = task;
    return Effect.suspend((): Effect.Effect<void, QueueFull | Draining> => {
      // A new request never overtakes a waiting one, even if a place is free that is not enough for the first waiting
      // one. An exception: waiting items of a job do not hold back an interactive call.
      if (this.waitingBefore(hints) === 0 && this.fits(hints, places)) {
        this.begin(hints, places);
        return Effect.void;
      }
      const refusal = this.refusal();
      if (refusal !== undefined) return Effect.fail(refusal);
      if (this.waitingBefore(hints) >= this.settings.maxQueued) {
        return Effect.fail(new QueueFull({ model: this.model, limit: this.settings.maxQueued, retryAfterMs }));
      }
      const own: Waiting = { ...task, admitted: Deferred.makeUnsafe<void, Draining>() };
      this.waiting.add(own);
      this.stats.move(this.model, "queued", 1);
      return this.turn(own);
    });
  }

  /** How many waiting requests go first. */
  private waitingBefore({ background }: SchedulingHints): number {
    if (background === true) return this.waiting.size;
    let count = 0;
    for (const { hints } of this.waiting) if (hints.background !== true) count += 1;
    return count;
  }

  /** A job's items leave one place free for an interactive call, if there is more than one. */
  private fits({ background }: SchedulingHints, places: number): boolean {
    const { maxRunning } = this.settings;
    const most = background === true && maxRunning > 1 ? Math.max(places, maxRunning - 1) : maxRunning;
    return this.running + places <= most;
  }

  /** Waits for this request's turn. Whoever frees a place counts this request as running before waking it. */
  private turn(own: Waiting): Effect.Effect<void, Draining> {
    return Effect.onError(Deferred.await(own.admitted), () => Effect.sync(() => this.leave(own)));
  }

  /** Called when a request leaves before its turn, or is refused. Places given in the same moment go to the next ones. */
  private leave(own: Waiting): void {
    if (own.begun === true) return this.release(own.hints, own.places);
    if (!this.waiting.delete(own)) return;
    this.stats.move(this.model, "queued", -1);
    this.fill();
  }

  private release(hints: SchedulingHints, places: number): void {
    this.end(hints, places);
    this.fill();
  }

  /** Admits waiting requests in turn order while places are free. */
  private fill(): void {
    for (;;) {
      const next = this.first();
      if (next === undefined || !this.fits(next.hints, next.places)) return;
      this.waiting.delete(next);
      this.stats.move(this.model, "queued", -1);
      next.begun = true;
      this.begin(next.hints, next.places);
      Deferred.doneUnsafe(next.admitted, Effect.void);
    }
  }

  private begin({ fairnessId }: SchedulingHints, places: number): void {
    this.running += places;
    this.runningOf.set(fairnessId, (this.runningOf.get(fairnessId) ?? 0) + places);
    this.stats.move(this.model, "running", 1);
  }

  private end({ fairnessId }: SchedulingHints, places: number): void {
    this.running -= places;
    const left = (this.runningOf.get(fairnessId) ?? places) - places;
    if (left === 0) this.runningOf.delete(fairnessId);
    else this.runningOf.set(fairnessId, left);
    this.stats.move(this.model, "running", -1);
  }

  private first(): Waiting | undefined {
    let first: Waiting | undefined;
    let earliest = Number.POSITIVE_INFINITY;
    for (const candidate of this.waiting) {
      const { hints, since } = candidate;
      const due = turnOf(hints, since) + (this.runningOf.get(hints.fairnessId) ?? 0) * deferralPerRunning;
      if (first === undefined || due < earliest) [first, earliest] = [candidate, due];
    }
    return first;
  }
}
