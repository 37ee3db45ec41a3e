/** How an engine's processes have ended so far, and what follows for the next one. */

/** `refusing`: it found the checkpoint unusable, as another process would. */
export type LifePhase = "refusing" | "loading" | "serving";

export class RestartHistory {
  /** Number of processes started after the first one. */
  restarts = 0;
  /** When the current or last process became ready, in milliseconds of a monotonic clock. */
  private readyAt = 0;
  /** Consecutive deaths without a token or a long life in between. */
  private deaths = 0;
  /** How many of these deaths cannot be blamed on a single request. */
  private unexplained = 0;
  /** Consecutive processes that died while loading. */
  private failedStarts = 0;

  /** A process is ready. */
  becameReady(now: number): void {
    this.readyAt = now;
  }

  /** A token or a vector was computed, so the engine works. */
  delivered(): void {
    this.deaths = this.unexplained = 0;
  }

  /** @param isExplained whether the process had only one request, which is then the likely cause */
  died(phase: LifePhase, isExplained: boolean, now: number): void {
    this.failedStarts = phase === "serving" ? 0 : this.failedStarts + 1;
    // An engine that ran well for a long time without any request is not failing repeatedly.
    if (phase === "serving" && now - this.readyAt > longLifeMs) this.delivered();
    this.deaths += 1;
    if (!isExplained) this.unexplained += 1;
  }

  /** Whether calls are refused while restarts continue, instead of waiting for them. */
  get failsAgainAndAgain(): boolean {
    return this.unexplained >= maxUnexplained;
  }

  /** Whether starting another process is pointless. */
  get cannotStart(): boolean {
    return this.failedStarts >= maxFailedStarts;
  }

  /** The pause before the next start; it doubles with each consecutive death. */
  get pauseMs(): number {
    return Math.min(10_000, 100 * 2 ** this.deaths);
  }
}

/** Consecutive deaths that no request is to blame for. */
const maxUnexplained = 5;

/** Consecutive processes that died while loading. */
const maxFailedStarts = 5;

/** A process that served for this long starts a new count of consecutive deaths. */
const longLifeMs = 60_000;
