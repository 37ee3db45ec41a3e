/**
 * An exponentially weighted average over time: a sample one time constant ago has 1/e of the weight of the current one.
 */
export class Smoothed {
  private readonly timeConstantMs: number;
  private average: number | undefined;

  constructor(timeConstantMs: number) {
    this.timeConstantMs = timeConstantMs;
  }

  /** 0 before the first sample. */
  get value(): number {
    return this.average ?? 0;
  }

  /** @param elapsedMs time since the previous sample */
  add(sample: number, elapsedMs: number): void {
    const before = this.average ?? sample;
    this.average = before + (sample - before) * (1 - Math.exp(-elapsedMs / this.timeConstantMs));
  }
}
