/**
 * The permits of one host, shared by all models on it, so that together they never send more requests than the host may
 * run.
 */
import { Deferred, Effect, type Scope } from "effect";

import { deferralPerRunning, type QueuePlace } from "../../domain/turn.ts";

interface Waiting {
  readonly scheduling: QueuePlace;
  readonly admitted: Deferred.Deferred<void>;
}

export class HostGate {
  private permits: number;
  private running = 0;
  private readonly waiting = new Set<Waiting>();
  /** By fairness id. Requests without one share the empty id. */
  private readonly runningOf = new Map<string, number>();

  constructor(permits: number) {
    this.permits = permits;
  }

  /** Changes the limit. Requests that run already are not affected. */
  limit(permits: number): void {
    this.permits = permits;
    this.admit();
  }

  /**
   * Waits for a permit, which is returned when the scope closes. Requests get permits in the order of their turns
   * (domain/turn.ts).
   */
  permit(scheduling: QueuePlace): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => this.enter(scheduling)),
      // A request that got its permit in the moment in which it left passes it on.
      (own) => Effect.sync(() => void (this.waiting.delete(own) || this.release(scheduling))),
    ).pipe(Effect.flatMap(({ admitted }) => Deferred.await(admitted)));
  }

  private enter(scheduling: QueuePlace): Waiting {
    const own: Waiting = { scheduling, admitted: Deferred.makeUnsafe<void>() };
    this.waiting.add(own);
    this.admit();
    return own;
  }

  private release(scheduling: QueuePlace): void {
    this.running -= 1;
    const { fairnessId } = scheduling;
    const left = (this.runningOf.get(fairnessId) ?? 1) - 1;
    if (left === 0) this.runningOf.delete(fairnessId);
    else this.runningOf.set(fairnessId, left);
    this.admit();
  }

  private admit(): void {
    while (this.running < this.permits) {
      const next = this.first();
      if (next === undefined) return;
      const { fairnessId } = next.scheduling;
      this.running += 1;
      this.runningOf.set(fairnessId, (this.runningOf.get(fairnessId) ?? 0) + 1);
      this.waiting.delete(next);
      Deferred.doneUnsafe(next.admitted, Effect.void);
    }
  }

  private first(): Waiting | undefined {
    let first: Waiting | undefined;
    let earliest = Number.POSITIVE_INFINITY;
    for (const candidate of this.waiting) {
      const { turn, fairnessId } = candidate.scheduling;
      const due = turn + (this.runningOf.get(fairnessId) ?? 0) * deferralPerRunning;
      if (first === undefined || due < earliest) [first, earliest] = [candidate, due];
    }
    return first;
  }
}
