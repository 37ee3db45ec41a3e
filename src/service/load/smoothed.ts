/** Exponentially weighted averages over time: what happened one time constant ago counts 1/e as much as what happens now. */
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

  /** @param elapsedMs since the sample before */
  add(sample: number, elapsedMs: number): void {
    const before = this.average ?? sample;
    this.average = before + (sample - before) * (1 - Math.exp(-elapsedMs / this.timeConstantMs));
  }
}
