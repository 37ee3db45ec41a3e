/**
 * Detects an engine that runs but delivers nothing: it checks whether the process answers, and whether each of its
 * sequences makes progress. A step that advances no sequence is not progress.
 */
export class Watchdog {
  private readonly clock: () => number;
  private readonly longestTickMs: number;
  /** Time that has passed up to the last tick. */
  private past = 0;
  private tickedAt: number;
  private heardAt = 0;
  private progressAt = 0;
  /** How long the process has had to wait for its turn to compute, until it last got it. */
  private heldUpMs = 0;
  private heldUpSince: number | undefined;
  /** By sequence. Sequences that wait in the process's own queue are not timed. */
  private readonly computing = new Map<number, { progressAt: number }>();
  private readonly waiting = new Set<number>();

  /**
   * @param clock milliseconds of a monotonic clock
   * @param longestTickMs if a tick comes later than this, this process was delayed and the engine's messages may still
   *   be unread; such time counts against nobody
   */
  constructor(clock: () => number, longestTickMs: number) {
    this.clock = clock;
    this.longestTickMs = longestTickMs;
    this.tickedAt = clock();
  }

  /** Has to be called regularly: time passes only with it. */
  tick(): void {
    this.past = this.now;
    this.tickedAt = this.clock();
  }

  /** Starts over for a new process, which has no requests yet. */
  reset(): void {
    this.tick();
    this.heardAt = this.past;
    this.progressAt = this.worked;
    this.computing.clear();
    this.waiting.clear();
  }

  /** The process has sent a message. */
  heard(): void {
    this.heardAt = this.now;
  }

  /** Another process has the turn to compute, so missing progress counts against nobody. */
  holdUp(): void {
    this.heldUpSince ??= this.now;
  }

  goOn(): void {
    if (this.heldUpSince !== undefined) this.heldUpMs += this.now - this.heldUpSince;
    this.heldUpSince = undefined;
  }

  /** The process was given a sequence. If it was idle, its clock starts now. */
  given(sequence: number): void {
    if (this.isIdle) this.progressAt = this.worked;
    this.waiting.add(sequence);
  }

  /** The process has begun to compute the sequence, so it has to make progress from now on. */
  admitted(sequence: number): void {
    this.waiting.delete(sequence);
    this.computing.set(sequence, { progressAt: this.worked });
    this.progressAt = this.worked;
  }

  /** The sequence made progress: a token, or a part of the work before its first token. */
  progressed(sequence: number): void {
    this.progressAt = this.worked;
    const own = this.computing.get(sequence);
    if (own !== undefined) own.progressAt = this.worked;
  }

  ended(sequence: number): void {
    this.waiting.delete(sequence);
    this.computing.delete(sequence);
  }

  /** How long the process has not answered, or has made no progress with any of its work, whichever is longer. */
  get stalledMs(): number {
    const withoutProgressMs = this.isIdle ? 0 : this.worked - this.progressAt;
    return Math.max(this.now - this.heardAt, withoutProgressMs);
  }

  /** Sequences without progress for longer than this. */
  stuck(limitMs: number): ReadonlyArray<number> {
    return [...this.computing].flatMap(([sequence, { progressAt }]) =>
      this.worked - progressAt > limitMs ? [sequence] : [],
    );
  }

  private get now(): number {
    return this.past + Math.min(this.clock() - this.tickedAt, this.longestTickMs);
  }

  /** Time during which the process could have computed. */
  private get worked(): number {
    return (this.heldUpSince ?? this.now) - this.heldUpMs;
  }

  private get isIdle(): boolean {
    return this.computing.size === 0 && this.waiting.size === 0;
  }
}
