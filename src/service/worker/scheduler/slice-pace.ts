/**
 * Chooses how many prompt tokens are computed between two decode steps of running streams: as many as take a short time
 * on this machine with this model, however long the context has become.
 */
export class SlicePace {
  private readonly most: number;
  private current: number;
  /** The previous step: when it ended, and how many tokens its slice had. */
  private last = { at: 0, tokens: 0 };

  /** @param most the upper bound, even if more tokens would be fast enough */
  constructor(most: number) {
    this.most = most;
    this.current = most;
  }

  get tokens(): number {
    return Math.floor(this.current);
  }

  /** The lower bound of its result. */
  get fewest(): number {
    return Math.min(this.most, fewest);
  }

  /**
   * Call this at the end of a step.
   *
   * @param now milliseconds of a monotonic clock
   * @param tokens the size of the slice that delayed running streams; 0 if there was none
   */
  step(now: number, tokens: number): void {
    const { at, tokens: before } = this.last;
    this.last = { at: now, tokens };
    // A step waits for the slice before its own. A slice that was cut short says little.
    if (tokens === 0 || before < this.current / 2) return;
    const change = Math.min(1.25, Math.max(0.5, targetMs / Math.max(now - at, 1)));
    this.current = Math.min(this.most, Math.max(this.fewest, before * change));
  }
}

/** A pause that readers of a stream hardly notice. */
const targetMs = 75;

/** Fewer tokens would be inefficient: a weight is read once for all tokens of a slice. */
const fewest = 64;

/**
 * How many prompt tokens, of all rows together, may be computed at once if a row has this many columns. The attention
 * scores of a layer grow with both, and never exist for a whole long prompt.
 *
 * @param heads how many heads' scores exist at the same time
 */
export const mostTokensAtOnce = (heads: number, columns: number): number =>
  Math.max(fewestAtOnce, Math.floor(maxScoreBytes / (4 * heads * columns)));

/** The service reserves memory by this value, too (models/memory/footprint.ts). */
const maxScoreBytes = 256 * 1024 ** 2;
const fewestAtOnce = 16;
