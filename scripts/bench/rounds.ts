/** Both sides in turns: what the machine does meanwhile strikes both. */
import { type Row, type Target, toRow } from "./row.ts";

const rounds = 3;

/** One number of each side from each round. */
export interface Pair {
  readonly ours: ReadonlyArray<number>;
  readonly peer: ReadonlyArray<number>;
}

export interface Measured<A> {
  readonly ours: ReadonlyArray<A>;
  readonly peer: ReadonlyArray<A>;
}

export const inTurns = async <A>(
  ours: (round: number) => Promise<A>,
  peer: (round: number) => Promise<A>,
): Promise<Measured<A>> => {
  const results = { ours: [] as A[], peer: [] as A[] };
  for (let round = 0; round < rounds; round++) {
    results.ours.push(await ours(round));
    results.peer.push(await peer(round));
  }
  return results;
};

/** The middle one of the rounds' ratios decides, and its round's numbers are shown: each round compares like with like. */
export const pairRow = (workload: string, metric: string, { ours, peer }: Pair, target: Target): Row => {
  const rows = ours.map((value, round) => toRow(workload, metric, value, peer[round] ?? Number.NaN, target));
  const middle = rows.toSorted((a, b) => a.ratio - b.ratio)[Math.floor(rows.length / 2)];
  if (middle === undefined) throw new Error(`${workload} has no rounds`);
  return middle;
};

export interface Comparison {
  readonly workload: string;
  readonly metric: string;
  readonly ours: (round: number) => Promise<number>;
  readonly peer: (round: number) => Promise<number>;
  readonly target: Target;
}

export const compareInTurns = async ({ workload, metric, ours, peer, target }: Comparison): Promise<Row> =>
  pairRow(workload, metric, await inTurns(ours, peer), target);
