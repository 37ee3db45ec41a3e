/** Tells those who wait for something of a job that it has changed on this host. Of other hosts they have to look. */
import { Deferred, Effect } from "effect";

export class Signals {
  private readonly waiting = new Map<string, Set<Deferred.Deferred<void>>>();

  /** Ends when the job has changed here, or after a while. Begin to wait before you look, so that nothing is missed. */
  listen(jobId: string): { readonly change: Effect.Effect<void>; readonly end: () => void } {
    const heard = Deferred.makeUnsafe<void>();
    const others = this.waiting.get(jobId) ?? new Set();
    this.waiting.set(jobId, others.add(heard));
    return {
      change: Effect.timeoutOption(Deferred.await(heard), lookAgainMs).pipe(Effect.asVoid),
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

/** Another host may have changed it. */
const lookAgainMs = 500;
