/** How the processes of an engine have fared, and what follows from that for the next one. */

/** `refusing`: it found the checkpoint unusable, which another process would find too. */
export type LifePhase = "refusing" | "loading" | "serving";

export class RestartHistory {
  /** Processes that were started after the first one. */
  restarts = 0;
  /** When the process that runs, or ran last, became ready; milliseconds of a monotonic clock. */
  private readyAt = 0;
  /** Deaths in a row without a token, or a long life, between them. */
  private deaths = 0;
  /** How many of these deaths no single request can be blamed for. */
  private unexplained = 0;
  /** Processes in a row that died while they loaded. */
  private failedStarts = 0;

  /** A process is ready. */
  becameReady(now: number): void {
    this.readyAt = now;
  }

  /** Something was computed: the engine works. */
  delivered(): void {
    this.deaths = this.unexplained = 0;
  }

  /** @param isExplained whether the process had nothing but one request, which is then the likely cause */
  died(phase: LifePhase, isExplained: boolean, now: number): void {
    this.failedStarts = phase === "serving" ? 0 : this.failedStarts + 1;
    // An engine that was well for long, though nobody asked it for a token, is no engine that dies in a row.
    if (phase === "serving" && now - this.readyAt > longLifeMs) this.delivered();
    this.deaths += 1;
    if (!isExplained) this.unexplained += 1;
  }

  /** Whether nobody is kept waiting any more while restarts go on. */
  get failsAgainAndAgain(): boolean {
    return this.unexplained >= maxUnexplained;
  }

  /** Whether it makes no sense to start another process. */
  get cannotStart(): boolean {
    return this.failedStarts >= maxFailedStarts;
  }

  /** Before the next start: it doubles with each death in a row. */
  get pauseMs(): number {
    return Math.min(10_000, 100 * 2 ** this.deaths);
  }
}

/** Deaths in a row that no request is to blame for. */
const maxUnexplained = 5;

/** Processes in a row that died while loading. */
const maxFailedStarts = 5;

/** A process that has served for this long is not one of a row that dies. */
const longLifeMs = 60_000;
