/** Permits of one host: models that are there share them, so that none of them gets more at once than the host takes. */
import { Deferred, Effect, type Scope } from "effect";

import { deferralPerRunning } from "../../domain/turn.ts";
import type { SequenceScheduling } from "../../worker/protocol/submit-message.ts";

interface Waiting {
  readonly scheduling: SequenceScheduling;
  readonly admitted: Deferred.Deferred<void>;
}

export class HostGate {
  /** The least that a backend of the host allows. */
  private permits: number;
  private running = 0;
  private readonly waiting = new Set<Waiting>();
  /** By fairness id; those that have none share one. */
  private readonly runningOf = new Map<string, number>();

  constructor(permits: number) {
    this.permits = permits;
  }

  /** Another backend of the same host. */
  limit(permits: number): void {
    this.permits = Math.min(this.permits, permits);
  }

  /** Waits for a permit, which the scope gives back. They go in the order of their turns (domain/turn.ts). */
  permit(scheduling: SequenceScheduling): Effect.Effect<void, never, Scope.Scope> {
    return Effect.acquireRelease(
      Effect.sync(() => this.enter(scheduling)),
      // One that was given a permit as it left passes it on.
      (own) => Effect.sync(() => void (this.waiting.delete(own) || this.release(scheduling))),
    ).pipe(Effect.flatMap(({ admitted }) => Deferred.await(admitted)));
  }

  private enter(scheduling: SequenceScheduling): Waiting {
    const own: Waiting = { scheduling, admitted: Deferred.makeUnsafe<void>() };
    this.waiting.add(own);
    this.admit();
    return own;
  }

  private release(scheduling: SequenceScheduling): void {
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
