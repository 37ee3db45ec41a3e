/** Notifies those who wait for a change of a job on this host. Changes on other hosts are found by looking again. */
import { Deferred, Effect } from "effect";

export class Signals {
  private readonly waiting = new Map<string, Set<Deferred.Deferred<void>>>();
  private readonly lookAgainMs: number;

  /** @param hasOthers whether there may be other hosts */
  constructor(hasOthers: boolean) {
    this.lookAgainMs = hasOthers ? 500 : 5_000;
  }

  /**
   * Completes when the job has changed here, or after a while. Call this before reading the job, so that no change is
   * missed.
   */
  listen(jobId: string): { readonly change: Effect.Effect<void>; readonly end: () => void } {
    const heard = Deferred.makeUnsafe<void>();
    const others = this.waiting.get(jobId) ?? new Set();
    this.waiting.set(jobId, others.add(heard));
    return {
      change: Effect.timeoutOption(Deferred.await(heard), this.lookAgainMs).pipe(Effect.asVoid),
      end: () => {
        others.delete(heard);
        if (others.size === 0 && this.waiting.get(jobId) === others) this.waiting.delete(jobId);
      },
    };
  }

  changed(jobId: string): void {
    const heard = this.waiting.get(jobId);
    this.waiting.delete(jobId);
    for (const each of heard ?? []) Deferred.doneUnsafe(each, Effect.void);
  }
}
