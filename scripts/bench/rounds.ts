/** Both sides in turns: what the machine does meanwhile strikes both. */
import { isNear, type Row, type Target, toRow } from "./row.ts";

/** Odd numbers, as the middle round decides. */
const fewestRounds = 3;
const mostRounds = 9;

/** A line of the result, and how it is read out of what one round of one side gave. */
export interface RowOf<A> {
  readonly workload: string;
  readonly metric: string;
  readonly target: Target;
  readonly pick: (measured: A) => number;
}

/** Three rounds of each side, and up to nine as long as any of the rows is near its bound. */
export const compare = async <A>(
  ours: (round: number) => Promise<A>,
  peer: (round: number) => Promise<A>,
  rows: ReadonlyArray<RowOf<A>>,
): Promise<ReadonlyArray<Row>> => {
  const results = { ours: [] as A[], peer: [] as A[] };
  for (;;) {
    const round = results.ours.length;
    results.ours.push(await ours(round));
    results.peer.push(await peer(round));
    if (round + 1 < fewestRounds || (round + 1) % 2 === 0) continue;
    const middles = rows.map((row) => middleRow(row, results.ours, results.peer));
    if (round + 1 >= mostRounds || !middles.some(({ ratio }, index) => isNear(ratio, rows[index]?.target ?? {}))) {
      return middles;
    }
  }
};

/** The same where a round gives one number. */
export const compareNumbers = async ({
  ours,
  peer,
  ...row
}: {
  readonly workload: string;
  readonly metric: string;
  readonly target: Target;
  readonly ours: (round: number) => Promise<number>;
  readonly peer: (round: number) => Promise<number>;
}): Promise<ReadonlyArray<Row>> => compare(ours, peer, [{ ...row, pick: (value) => value }]);

/** The middle one of the rounds' ratios decides, and its round's numbers are shown: each round compares like with like. */
const middleRow = <A>(
  { workload, metric, target, pick }: RowOf<A>,
  ours: ReadonlyArray<A>,
  peer: ReadonlyArray<A>,
): Row => {
  const pairs = ours.flatMap((value, round) => {
    const other = peer[round];
    return other === undefined ? [] : [toRow(workload, metric, pick(value), pick(other), target)];
  });
  const middle = pairs.toSorted((a, b) => a.ratio - b.ratio)[Math.floor(pairs.length / 2)];
  if (middle === undefined) throw new Error(`${workload} has no rounds`);
  return { ...middle, rounds: pairs.length };
};
