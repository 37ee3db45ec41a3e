/** What the report is made of. */

export interface Check {
  readonly name: string;
  /** `skipped` has its reason in `detail`. */
  readonly status: "passed" | "failed" | "skipped";
  /** One sentence. */
  readonly detail?: string;
  readonly figures?: Readonly<Record<string, number | string>>;
}

export interface Options {
  /** Whose speed is measured; undefined: a checkpoint of random weights. */
  readonly modelFolder: string | undefined;
  /** Whether mlx-lm is measured too, and installed for it. */
  readonly withPeer: boolean;
}

export interface Section {
  readonly name: string;
  readonly run: (options: Options) => Promise<ReadonlyArray<Check>>;
}

/** The report is sent to others: what a message says of folders stays here. */
export const withoutPaths = (check: Check): Check =>
  check.detail === undefined
    ? check
    : { ...check, detail: check.detail.replaceAll(/(?:file:\/\/|[~.]{0,2}\/)[^\s'")]+/g, "(path)") };

/** A figure that has to stay below a bound. */
export const bounded = (name: string, value: number, most: number): Check => ({
  name,
  // NaN passes no bound.
  status: value <= most ? "passed" : "failed",
  ...(!(value <= most) && { detail: `${value.toPrecision(3)} is more than ${most}` }),
  figures: { value, most },
});
