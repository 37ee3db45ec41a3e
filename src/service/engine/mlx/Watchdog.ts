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
  /** How long it was not its turn to compute, up to the last time that it was. */
  private heldUpMs = 0;
  private heldUpSince: number | undefined;
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
    this.heardAt = this.past;
    this.progressAt = this.worked;
    this.computing.clear();
    this.waiting.clear();
  }

  /** The process said something. */
  heard(): void {
    this.heardAt = this.now;
  }

  /** It is another process's turn to compute: what does not come of sequences meanwhile is nobody's delay. */
  holdUp(): void {
    this.heldUpSince ??= this.now;
  }

  goOn(): void {
    if (this.heldUpSince !== undefined) this.heldUpMs += this.now - this.heldUpSince;
    this.heldUpSince = undefined;
  }

  /** The process was given a sequence. One that was idle is not late: its clock starts here. */
  given(sequence: number): void {
    if (this.isIdle) this.progressAt = this.worked;
    this.waiting.add(sequence);
  }

  /** The process has begun to compute it: from here on something has to come of it. */
  admitted(sequence: number): void {
    this.waiting.delete(sequence);
    this.computing.set(sequence, { progressAt: this.worked });
    this.progressAt = this.worked;
  }

  /** Something came of a sequence: a token, or a part of what has to be done before its first. */
  progressed(sequence: number): void {
    this.progressAt = this.worked;
    const own = this.computing.get(sequence);
    if (own !== undefined) own.progressAt = this.worked;
  }

  ended(sequence: number): void {
    this.waiting.delete(sequence);
    this.computing.delete(sequence);
  }

  /** How long the process has not answered, or has had work without progress in any of it: the longer one. */
  get stalledMs(): number {
    const withoutProgressMs = this.isIdle ? 0 : this.worked - this.progressAt;
    return Math.max(this.now - this.heardAt, withoutProgressMs);
  }

  /** Sequences of which nothing has come for longer than this. */
  stuck(limitMs: number): ReadonlyArray<number> {
    return [...this.computing].flatMap(([sequence, { progressAt }]) =>
      this.worked - progressAt > limitMs ? [sequence] : [],
    );
  }

  private get now(): number {
    return this.past + Math.min(this.clock() - this.tickedAt, this.longestTickMs);
  }

  /** Time in which it might have computed. */
  private get worked(): number {
    return (this.heldUpSince ?? this.now) - this.heldUpMs;
  }

  private get isIdle(): boolean {
    return this.computing.size === 0 && this.waiting.size === 0;
  }
}
