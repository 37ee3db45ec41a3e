/** A token bucket, which refills evenly up to one minute's allowance. */
const minuteMs = 60_000;
/** Refilling computes with fractions; a rounding error must not refuse an amount that is available. */
const tolerance = 1e-6;

export class Bucket {
  /**
   * The level at the time `#at`. Undefined until there is a limit, when the bucket is full. Negative after more was
   * used than was taken.
   */
  #level: number | undefined;
  /** Milliseconds of a monotonic clock. */
  #at = 0;

  /** The current level. */
  level(perMinute: number, now: number): number {
    const refilled = (this.#level ?? perMinute) + ((now - this.#at) * perMinute) / minuteMs;
    this.#level = Math.min(perMinute, refilled);
    this.#at = now;
    return this.#level;
  }

  /**
   * Returns how many milliseconds to wait for `amount`; 0 if it was taken; undefined if it exceeds a minute's
   * allowance.
   */
  take(amount: number, perMinute: number, now: number): number | undefined {
    const waitMs = this.waitMs(amount, perMinute, now);
    if (waitMs === 0) this.giveBack(-amount);
    return waitMs;
  }

  /** What `take` would return. Takes nothing. */
  waitMs(amount: number, perMinute: number, now: number): number | undefined {
    const level = this.level(perMinute, now);
    if (amount > perMinute) return undefined;
    return level + tolerance < amount ? Math.ceil(((amount - level) * minuteMs) / perMinute) : 0;
  }

  /** Returns what was taken but not used; a negative amount charges what was used in addition. */
  giveBack(amount: number): void {
    if (this.#level !== undefined) this.#level += amount;
  }
}
