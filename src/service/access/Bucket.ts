/** A token bucket: what is taken from it comes back evenly, up to what a minute allows. */
const minuteMs = 60_000;
/** Refilling is arithmetic on fractions; a rounding error must not refuse what is due. */
const tolerance = 1e-6;

export class Bucket {
  /** What may be taken at `#at`. Undefined until there is a limit: then it is full. Below 0 after more was used than taken. */
  #level: number | undefined;
  /** Milliseconds of a clock that is never set. */
  #at = 0;

  /** What may be taken now. */
  level(perMinute: number, now: number): number {
    const refilled = (this.#level ?? perMinute) + ((now - this.#at) * perMinute) / minuteMs;
    this.#level = Math.min(perMinute, refilled);
    this.#at = now;
    return this.#level;
  }

  /** Returns how many milliseconds to wait for `amount`; 0: it is taken; undefined: it is more than a minute allows. */
  take(amount: number, perMinute: number, now: number): number | undefined {
    const level = this.level(perMinute, now);
    if (amount > perMinute) return undefined;
    if (level + tolerance < amount) return Math.ceil(((amount - level) * minuteMs) / perMinute);
    this.#level = level - amount;
    return 0;
  }

  /** Gives back what was taken and not used; below 0: what was used beyond it. */
  giveBack(amount: number): void {
    if (this.#level !== undefined) this.#level += amount;
  }
}
