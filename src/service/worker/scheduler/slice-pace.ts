/**
 * How many prompt tokens are computed between two decode steps of streams that run: as many as are done in a short time
 * on this machine with this model, whatever the context has grown to.
 */
export class SlicePace {
  private readonly most: number;
  private current: number;
  /** The step before: when it ended, and the tokens of its slice. */
  private last = { at: 0, tokens: 0 };

  /** @param most tokens, also where more would be fast enough */
  constructor(most: number) {
    this.most = most;
    this.current = most;
  }

  get tokens(): number {
    return Math.floor(this.current);
  }

  /** It does not come to be less. */
  get fewest(): number {
    return Math.min(this.most, fewest);
  }

  /**
   * A step has ended.
   *
   * @param now milliseconds of a monotonic clock
   * @param tokens of the slice that held up running streams; 0 if there was none
   */
  step(now: number, tokens: number): void {
    const { at, tokens: before } = this.last;
    this.last = { at: now, tokens };
    // A step waits for the slice before its own. One that was cut short says little.
    if (tokens === 0 || before < this.current / 2) return;
    const change = Math.min(1.25, Math.max(0.5, targetMs / Math.max(now - at, 1)));
    this.current = Math.min(this.most, Math.max(this.fewest, before * change));
  }
}

/** A pause that readers of a stream hardly notice. */
const targetMs = 75;

/** Fewer would cost too much: a weight is read once for all tokens of a slice. */
const fewest = 64;

/**
 * Prompt tokens, of all rows together, that may be computed at once where a row has so many columns: the scores of a
 * layer's attention grow with both, and are never there for a whole long prompt.
 *
 * @param heads whose scores are there at the same time
 */
export const mostTokensAtOnce = (heads: number, columns: number): number =>
  Math.max(fewestAtOnce, Math.floor(maxScoreBytes / (4 * heads * columns)));

/** The service reserves memory by it, too (models/memory/footprint.ts). */
const maxScoreBytes = 256 * 1024 ** 2;
const fewestAtOnce = 16;
