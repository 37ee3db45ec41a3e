/**
 * The measured cost of a verification relative to a plain decode step, by number of rows (in powers of two), tokens per
 * row and source of the draft. It influences whether drafts are made, never the output.
 */

/** Where drafts come from: the sequence itself, or a draft model. */
export type DraftSource = "lookup" | "model";

interface Plain {
  /** Milliseconds. */
  ms: number;
  /** Samples since the measurement was last found too old. */
  samples: number;
  /** Verifications since the last plain step. */
  age: number;
}

interface Verified {
  /** Relative to a plain step's time. */
  ratio: number;
  samples: number;
}

interface Refusals {
  count: number;
  /** How many there are before it is tried again. */
  patience: number;
}

export class Pace {
  private readonly plain = new Map<number, Plain>();
  private readonly verified = new Map<string, Verified>();
  private readonly refusals = new Map<number, Refusals>();

  /** Adds a step of one token per row whose time was determined by the device. */
  addPlain(rows: number, ms: number): void {
    if (ms <= 0) return;
    const known = this.plain.get(bucket(rows)) ?? { ms, samples: 0, age: 0 };
    known.ms += weight * (Math.min(ms, known.ms * mostOutlier) - known.ms);
    known.samples += 1;
    known.age = 0;
    this.plain.set(bucket(rows), known);
  }

  /** @param ms includes the drafting */
  addVerified(rows: number, width: number, source: DraftSource, ms: number): void {
    const plain = this.plain.get(bucket(rows));
    if (plain === undefined || ms <= 0) return;
    plain.age += 1;
    if (plain.age >= mostAge) [plain.age, plain.samples] = [0, 0];
    const key = `${source} ${bucket(rows)} ${width}`;
    const ratio = ms / plain.ms;
    const known = this.verified.get(key) ?? { ratio: assumedRatio(width, source), samples: 0 };
    // The first verification of a shape includes one-time costs.
    if (known.samples === 1) known.ratio = ratio;
    if (known.samples > 1) known.ratio += weight * (Math.min(ratio, known.ratio * mostOutlier) - known.ratio);
    known.samples += 1;
    this.verified.set(key, known);
  }

  /** Whether plain steps have been measured well enough for a comparison. */
  isKnown(rows: number): boolean {
    return (this.plain.get(bucket(rows))?.samples ?? 0) >= leastSamples;
  }

  /** Relative to a plain step's time. */
  ratio(rows: number, width: number, source: DraftSource): number {
    return this.verified.get(`${source} ${bucket(rows)} ${width}`)?.ratio ?? assumedRatio(width, source);
  }

  /**
   * Called for a draft that would pay off except for the measured cost of verifications; true if it is tried again all
   * the same.
   */
  retries(rows: number): boolean {
    const known = this.refusals.get(bucket(rows)) ?? { count: 0, patience: leastPatience };
    this.refusals.set(bucket(rows), known);
    known.count += 1;
    if (known.count < known.patience) return false;
    known.count = 0;
    known.patience = Math.min(2 * known.patience, mostPatience);
    return true;
  }
}

/**
 * The estimate before a measurement: weights are read once for all tokens, and the rest grows with their number; a
 * draft model works token by token.
 */
export const assumedRatio = (width: number, source: DraftSource): number =>
  1 + (source === "model" ? 0.25 : 0.1) * (width - 1);

/** The weight of a new measurement in the running mean. */
const weight = 0.2;

/** A step that took more than this many times the usual time was delayed by something else. */
const mostOutlier = 3;

const leastSamples = 4;

/** After this many verifications plain steps are measured again. */
const mostAge = 256;

const leastPatience = 64;
const mostPatience = 4096;

const bucket = (rows: number): number => 2 ** Math.ceil(Math.log2(rows));
