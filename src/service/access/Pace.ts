/**
 * Spaces out the refusals of a tenant, so that callers which call again at once do not cost the other tenants the time
 * that their refusals take. Some are sent at once, and all further ones evenly.
 */
import { setTimeout as sleep } from "node:timers/promises";

const burst = 20;
const intervalMs = 40;
/** However many there are, none is held back for longer. */
const maxHoldMs = 2000;
/** Of one tenant at once; further ones are sent at once. Each has a stream, and up to 64 KiB of a message that nobody reads. */
const maxHeld = 256;

export class Pace {
  /** When the next one is due. All times are in milliseconds of performance.now(). */
  #dueAt = 0;
  #held = 0;

  /**
   * Resolves when a refusal is to be sent, or its caller has left.
   *
   * @param patienceMs how long its caller still waits
   */
  async hold(signal: AbortSignal, patienceMs?: number): Promise<void> {
    const holdMs = this.holdMs(performance.now(), patienceMs);
    if (holdMs === 0 || this.#held === maxHeld) return;
    this.#held += 1;
    // It is rejected if the caller leaves.
    await sleep(holdMs, undefined, { signal }).catch(() => {});
    this.#held -= 1;
  }

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
