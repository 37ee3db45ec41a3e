/** A line of the result. */

export interface Row {
  readonly workload: string;
  readonly metric: string;
  readonly ours: number;
  readonly peer: number;
  readonly ratio: number;
  /** What the ratio is to be, e.g. `>= 1.3`. */
  readonly target: string;
  readonly ok: boolean;
}

export interface Target {
  readonly least?: number;
  readonly most?: number;
}

export const toRow = (workload: string, metric: string, ours: number, peer: number, { least, most }: Target): Row => {
  const ratio = ours / peer;
  return {
    workload,
    metric,
    ours,
    peer,
    ratio,
    target: least === undefined ? `<= ${most}` : `>= ${least}`,
    ok: least === undefined ? ratio <= (most ?? 0) : ratio >= least,
  };
};
