/** A line of the result. */

export interface Row {
  readonly workload: string;
  readonly metric: string;
  readonly ours: number;
  readonly peer: number;
  readonly ratio: number;
  /** Of each side. */
  readonly rounds: number;
  /** What the ratio is to be, e.g. `>= 1.3`. */
  readonly target: string;
  readonly ok: boolean;
}

/** Bounds of the ratio ours / peer; none: the row only tells. */
export interface Target {
  readonly least?: number;
  readonly most?: number;
}

export const toRow = (
  workload: string,
  metric: string,
  ours: number,
  peer: number,
  { least = -Infinity, most = Infinity }: Target,
): Row => {
  const ratio = ours / peer;
  const target = least > -Infinity ? `>= ${least}` : most < Infinity ? `<= ${most}` : "-";
  return { workload, metric, ours, peer, ratio, rounds: 1, target, ok: ratio >= least && ratio <= most };
};

/** Whether another few rounds could turn the verdict. */
export const isNear = (ratio: number, { least, most }: Target): boolean =>
  [least, most].some((bound) => bound !== undefined && Math.abs(ratio / bound - 1) < 0.1);
