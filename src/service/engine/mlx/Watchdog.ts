/**
 * Tells an engine that delivers from one that only seems to run: by whether its process answers, and by what comes of
 * each sequence that it has. A step that brings nobody anything is no progress.
 */
export class Watchdog {
  private readonly clock: () => number;
  private readonly longestTickMs: number;
  /** Up to the last tick. */
  private past = 0;
  private tickedAt: number;
  private heardAt = 0;
  private progressAt = 0;
  /** By sequence. Those that wait in the process's queue have no time of their own. */
  private readonly computing = new Map<number, { progressAt: number }>();
  private readonly waiting = new Set<number>();

  /**
   * @param clock milliseconds of a monotonic clock
   * @param longestTickMs a tick that comes later was held up here, and the messages of the process may be waiting still:
   * what the service itself slept through is nobody's delay
   */
  constructor(clock: () => number, longestTickMs: number) {
    this.clock = clock;
    this.longestTickMs = longestTickMs;
    this.tickedAt = clock();
  }

  /** To be called regularly: time passes as long as it is. */
  tick(): void {
    this.past = this.now;
    this.tickedAt = this.clock();
  }

  /** Another process, which has nothing yet. */
  reset(): void {
    this.tick();
    this.heardAt = this.progressAt = this.past;
    this.computing.clear();
    this.waiting.clear();
  }

  /** The process said something. */
  heard(): void {
    this.heardAt = this.now;
  }

  /** The process was given a sequence. One that was idle is not late: its clock starts here. */
  given(sequence: number): void {
    if (this.isIdle) this.progressAt = this.now;
    this.waiting.add(sequence);
  }

  /** The process has begun to compute it: from here on something has to come of it. */
  admitted(sequence: number): void {
    this.waiting.delete(sequence);
    this.computing.set(sequence, { progressAt: this.now });
    this.progressAt = this.now;
  }

  /** Something came of a sequence: a token, or a part of what has to be done before its first. */
  progressed(sequence: number): void {
    this.progressAt = this.now;
    const own = this.computing.get(sequence);
    if (own !== undefined) own.progressAt = this.now;
  }

  ended(sequence: number): void {
    this.waiting.delete(sequence);
    this.computing.delete(sequence);
  }

  /** How long the process has not answered, or has had work without progress in any of it: the longer one. */
  get stalledMs(): number {
    const withoutProgressMs = this.isIdle ? 0 : this.now - this.progressAt;
    return Math.max(this.now - this.heardAt, withoutProgressMs);
  }

  /** Sequences of which nothing has come for longer than this. */
  stuck(limitMs: number): ReadonlyArray<number> {
    return [...this.computing].flatMap(([sequence, { progressAt }]) =>
      this.now - progressAt > limitMs ? [sequence] : [],
    );
  }

  private get now(): number {
    return this.past + Math.min(this.clock() - this.tickedAt, this.longestTickMs);
  }

  private get isIdle(): boolean {
    return this.computing.size === 0 && this.waiting.size === 0;
  }
}
