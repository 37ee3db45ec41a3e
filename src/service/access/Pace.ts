/**
 * Spaces out the refusals of a tenant, so that callers which call again at once do not cost the other tenants the time
 * that their refusals take. Some are sent at once, and all further ones evenly.
 */
const burst = 20;
const intervalMs = 40;
/** However many there are, none is held back for longer. */
const maxHoldMs = 2000;

export class Pace {
  /** When the next one is due. All times are in milliseconds of performance.now(). */
  #dueAt = 0;

  /**
   * Counts a refusal, and returns for how long to hold it back.
   *
   * @param patienceMs how long its caller still waits
   */
  holdMs(now: number, patienceMs = Infinity): number {
    const dueAt = Math.max(this.#dueAt, now - burst * intervalMs) + intervalMs;
    this.#dueAt = Math.min(dueAt, now + maxHoldMs);
    const holdMs = Math.max(0, this.#dueAt - now);
    // A caller that has left would not hear why it was refused.
    return Math.min(holdMs, Math.max(0, patienceMs / 2));
  }
}
