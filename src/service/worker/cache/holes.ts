/**
 * Holes: columns within a row of the KV cache that hold no token of that row, because a verification rejected its
 * tokens while other rows kept theirs. A row's tokens are then no longer adjacent, so positions and masks follow the
 * tokens and not the columns.
 */
import { mx, type Tensor } from "../mlx.ts";

interface Hole {
  readonly from: number;
  readonly to: number;
}

/** The state of a cache that determines the places of its tokens. */
interface CacheColumns {
  /** First column of each row. */
  readonly starts: ReadonlyArray<number>;
  /** Number of columns in use. */
  readonly filled: number;
  readonly capacity: number;
}

export class Holes {
  /** The holes of each row, ascending. */
  private rows: Hole[][];
  /** The number of hole columns of each row. */
  private counts: number[];
  /**
   * For each column in use, the place of its token in the row's sequence, float32 [rows, capacity]; `never` in a hole,
   * and arbitrary left of a row's start. Undefined if it has to be computed from the rows.
   */
  private known: Tensor | undefined;

  constructor(rows: number) {
    this.rows = Array.from({ length: rows }, () => []);
    this.counts = Array.from({ length: rows }, () => 0);
  }

  /** The tensors that it holds. */
  get tensors(): ReadonlyArray<Tensor> {
    return this.known === undefined ? [] : [this.known];
  }

  /** The number of hole columns of a row. */
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

  /**
   * Of the columns [from, to), each row keeps this many from the first on; undefined for a free row, which has no
   * holes.
   */
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

  /** The row is free now. */
  close(row: number): void {
    this.rows[row] = [];
    this.counts[row] = 0;
  }

  /** A free row is filled from this column on, without holes. */
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
   * The places of the tokens in all columns, float32 [rows, capacity], `never` in holes. Columns that are not in use
   * yet count as if each row continued there. Arbitrary left of a row's start.
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
