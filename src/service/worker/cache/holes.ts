/**
 * Columns inside a row of the KV cache that hold no token of it: what a verification fed in vain while other rows kept
 * more. A row's tokens are then no longer side by side, so positions and masks follow the tokens and not the columns.
 */
import { mx, type Tensor } from "../mlx.ts";

interface Hole {
  readonly from: number;
  readonly to: number;
}

/** What of a cache the places of tokens follow from. */
interface CacheColumns {
  /** First column of each row. */
  readonly starts: ReadonlyArray<number>;
  /** Columns in use. */
  readonly filled: number;
  readonly capacity: number;
}

export class Holes {
  /** Of each row, ascending. */
  private rows: Hole[][];
  /** Columns that they are, of each row. */
  private counts: number[];
  /**
   * The place in its sequence of the token in each column in use, float32 [rows, capacity]; `never` in a hole, and
   * anything left of a row's start. Undefined: to be made from the rows.
   */
  private known: Tensor | undefined;

  constructor(rows: number) {
    this.rows = Array.from({ length: rows }, () => []);
    this.counts = Array.from({ length: rows }, () => 0);
  }

  /** What it holds on the device. */
  get tensors(): ReadonlyArray<Tensor> {
    return this.known === undefined ? [] : [this.known];
  }

  /** Columns of a row that are holes. */
  count(row: number): number {
    return this.counts[row] ?? 0;
  }

  get none(): boolean {
    return this.counts.every((count) => count === 0);
  }

  /** The columns of a row's first tokens. */
  columnsOf(row: number, start: number, tokens: number): number[] {
    const columns: number[] = [];
    let column = start;
    for (const { from, to } of [...(this.rows[row] ?? []), { from: Infinity, to: Infinity }]) {
      while (column < from && columns.length < tokens) columns.push(column++);
      column = to;
    }
    return columns;
  }

  /** Each row keeps of the columns [from, to) the first so many tokens; undefined: it is free, and has no holes. */
  open(from: number, to: number, kept: ReadonlyArray<number | undefined>): void {
    const firsts = kept.map((tokens) => (tokens === undefined ? to : from + tokens));
    for (const [row, first] of firsts.entries()) {
      if (kept[row] === undefined) this.close(row);
      else if (first < to) {
        this.rows[row]?.push({ from: first, to });
        this.counts[row] = this.count(row) + to - first;
      }
    }
    const [count = 0, capacity = 0] = this.known?.shape ?? [];
    if (this.known === undefined) return;
    const columns = mx.arange(0, capacity, 1, mx.float32).reshape(1, capacity);
    const inside = mx.logicalAnd(
      mx.greaterEqual(columns, mx.array(firsts, mx.float32).reshape(count, 1)),
      mx.less(columns, to),
    );
    this.known = mx.where(inside, never, this.known);
  }

  /** A row is free. */
  close(row: number): void {
    this.rows[row] = [];
    this.counts[row] = 0;
  }

  /** A free row is filled anew from its first column on, without holes. */
  begin(row: number, start: number): void {
    this.close(row);
    const [rows = 0, capacity = 0] = this.known?.shape ?? [];
    if (this.known === undefined) return;
    const own = mx.subtract(mx.arange(0, capacity, 1, mx.float32).reshape(1, capacity), start);
    const isRow = mx.equal(mx.arange(0, rows, 1, mx.float32).reshape(rows, 1), row);
    this.known = mx.where(isRow, own, this.known);
  }

  addRows(count: number): void {
    this.rows.push(...Array.from({ length: count }, () => []));
    this.counts.push(...Array.from({ length: count }, () => 0));
    const [, capacity = 0] = this.known?.shape ?? [];
    if (this.known !== undefined) this.known = mx.concatenate([this.known, mx.zeros([count, capacity])], 0);
  }

  /** All columns move to the right. */
  shift(by: number): void {
    this.rows = this.rows.map((holes) => holes.map(({ from, to }) => ({ from: from + by, to: to + by })));
    this.known = undefined;
  }

  /**
   * Places of the tokens in all columns, float32 [rows, capacity], `never` in holes: in those in use as they are, in
   * later ones as if each row went on there. Meaningless left of a row's start.
   */
  places({ starts, filled, capacity }: CacheColumns): Tensor {
    const rows = starts.length;
    if (this.known?.shape[1] !== capacity) this.known = this.make(starts, filled, capacity);
    const columns = mx.arange(0, capacity, 1, mx.float32).reshape(1, capacity);
    const shifts = starts.map((start, row) => start + this.count(row));
    const onwards = mx.subtract(columns, mx.array(shifts, mx.float32).reshape(rows, 1));
    this.known = mx.where(mx.greaterEqual(columns, filled), onwards, this.known);
    return this.known;
  }

  private make(starts: ReadonlyArray<number>, filled: number, capacity: number): Tensor {
    const places = starts.map((start, row) => {
      const own = Array.from({ length: capacity }, () => never);
      const length = Math.max(0, filled - start - this.count(row));
      for (const [place, column] of this.columnsOf(row, start, length).entries()) own[column] = place;
      return own;
    });
    return mx.array(places, mx.float32);
  }
}

/** Later than any token. */
const never = 1e9;
