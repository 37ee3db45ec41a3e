/**
 * The keys and values of several sequences, side by side.
 *
 * Every layer has one keys and one values array of shape [rows, kvHeads, capacity, headDim]. All rows write at the same
 * column, `end`; row r's tokens lie in columns [start[r], end), so shorter sequences are padded on the left and masks
 * tell the padding apart. Keys are rotated by true positions (column - start), so a row can be copied anywhere.
 *
 * Columns that were fed in vain are given back by `retract`, as many as no row keeps; those that only some rows keep are
 * holes in the others (holes.ts), until the next copy closes them.
 *
 * Attention runs over the whole capacity with a mask, never over a slice: a slice is a handle on the buffer that lives
 * until the garbage collector comes by, and as long as it does every in-place write copies the array (measured: 12
 * times slower). For the same reason capacity grows in small steps.
 */
import { Holes } from "./holes.ts";
import { all, mx, type Tensor } from "../mlx.ts";

export interface CacheShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** What every layer of one forward pass shares. */
export interface StepContext {
  /** True position of each token in its sequence, float32 [rows, tokens]; 0 for padding. */
  readonly positions: Tensor;
  /** Added to attention scores: 0 where the query may look, very low elsewhere; [rows, 1, tokens, capacity]. */
  readonly mask: Tensor;
  /** The same for a query that looks at the last `window` tokens alone, itself among them. Made once for each window. */
  readonly windowMask: (window: number) => Tensor;
}

/** A sequence's keys and values apart from any batch: for each layer [1, kvHeads, tokens, headDim]. */
export interface RowSnapshot {
  readonly keys: ReadonlyArray<Tensor>;
  readonly values: ReadonlyArray<Tensor>;
  readonly bytes: number;
}

/**
 * Vanishes in a softmax, and does so at once: a large finite number takes the slow way to underflow. Every query sees its
 * own column at least, also one that is padding or of a free row, so that none of them computes NaN.
 */
const masked = Number.NEGATIVE_INFINITY;

const columnsPerGrowth = 64;

/** A longer cache is attended to as far as it is filled: its prefill takes so many columns more at a time. */
const columnsOfPrefill = 1024;

export class KVCache {
  private readonly shape: CacheShape;
  private keys: Tensor[];
  private values: Tensor[];
  private starts: number[];
  private columns: number;
  /** Columns that its sequences are known to need. */
  private readonly planned: number;
  private filled = 0;
  private pending = 0;
  /** Undefined as long as there are none. */
  private holes: Holes | undefined;

  /**
   * @param lengths tokens that each row will hold once its prefill is done; the rows' starts follow from them
   * @param spare columns to hold ready beyond these
   * @param remaining tokens that are left to compute; those before are to be loaded, row by row
   */
  constructor(
    shape: CacheShape,
    lengths: ReadonlyArray<number>,
    spare: number,
    remaining: number = Math.max(...lengths),
  ) {
    const longest = Math.max(...lengths);
    this.shape = shape;
    this.starts = lengths.map((length) => longest - length);
    this.planned = roundUp(longest + spare);
    this.filled = longest - remaining;
    this.columns = this.planAhead(this.filled);
    const empty = (): Tensor => mx.zeros([lengths.length, shape.kvHeads, this.columns, shape.headDim]);
    this.keys = Array.from({ length: shape.layers }, empty);
    this.values = Array.from({ length: shape.layers }, empty);
  }

  get rows(): number {
    return this.starts.length;
  }

  /** Columns in use. */
  get end(): number {
    return this.filled;
  }

  /** Columns that there is room for. */
  get capacity(): number {
    return this.columns;
  }

  get bytes(): number {
    return bytesOf(this.shape, this.rows, this.columns);
  }

  /** Opens the next `tokens` columns and tells what the layers need to know of them. */
  begin(tokens: number): StepContext {
    if (this.filled + tokens > this.columns) this.makeRoom(tokens);
    this.pending = tokens;
    const { rows, holes } = this;
    const starts = mx.array(this.starts, mx.float32).reshape(rows, 1);
    const columns = mx.arange(0, this.columns, 1, mx.float32).reshape(1, 1, 1, this.columns);
    const queries = mx.arange(this.filled, this.filled + tokens, 1, mx.float32).reshape(1, tokens);
    const queryColumns = queries.reshape(1, 1, tokens, 1);
    // Without holes columns are as good as places: they differ by the row's start.
    const own = mx.subtract(queries, holes === undefined ? starts : this.shifts(holes));
    const places = holes?.places({ starts: this.starts, filled: this.filled, capacity: this.columns });
    const keyPlaces = places?.reshape(rows, 1, 1, this.columns) ?? columns;
    const queryPlaces = places === undefined ? queryColumns : own.reshape(rows, 1, tokens, 1);
    const visible = mx.logicalAnd(
      mx.greaterEqual(columns, mx.minimum(starts.reshape(rows, 1, 1, 1), queryColumns)),
      mx.lessEqual(keyPlaces, queryPlaces),
    );
    const mask = mx.where(visible, 0, masked);
    const windowMasks = new Map<number, Tensor>();
    return {
      positions: mx.maximum(own, 0),
      mask,
      windowMask: (window) => {
        const made =
          windowMasks.get(window) ?? mx.where(mx.greater(keyPlaces, mx.subtract(queryPlaces, window)), mask, masked);
        windowMasks.set(window, made);
        return made;
      },
    };
  }

  /** Writes a layer's keys and values [rows, kvHeads, tokens, headDim] into the open columns and gives all back. */
  update(layer: number, keys: Tensor, values: Tensor): { readonly keys: Tensor; readonly values: Tensor } {
    const target = [all, all, mx.Slice(this.filled, this.filled + this.pending), all];
    const layerKeys = at(this.keys, layer);
    const layerValues = at(this.values, layer);
    layerKeys.indexPut_(target, keys);
    layerValues.indexPut_(target, values);
    return { keys: layerKeys, values: layerValues };
  }

  /** Closes the open columns, once every layer has written. */
  commit(): void {
    this.filled += this.pending;
    this.pending = 0;
  }

  /**
   * Takes back what was fed in vain: of the last `fed` tokens each row keeps its first ones. After their commit.
   *
   * @param kept for each row how many; undefined: the row is free
   */
  retract(fed: number, kept: ReadonlyArray<number | undefined>): void {
    const before = this.filled - fed;
    const most = Math.max(0, ...kept.map((tokens) => tokens ?? 0));
    this.filled = before + most;
    if (kept.some((tokens) => tokens !== undefined && tokens < most)) this.holes ??= new Holes(this.rows);
    this.holes?.open(before, this.filled, kept);
    for (const [row, tokens] of kept.entries()) if (tokens === undefined) this.starts[row] = this.filled;
    if (this.holes?.none === true) this.holes = undefined;
  }

  /** Columns in use that the row of the most tokens does without. */
  get vainColumns(): number {
    return this.holes === undefined ? 0 : this.filled - Math.max(...this.starts.map((_, row) => this.length(row)));
  }

  /** For evaluation. */
  get arrays(): ReadonlyArray<Tensor> {
    return [...this.keys, ...this.values];
  }

  /** Tokens that a row holds. */
  length(row: number): number {
    return Math.max(0, this.filled - at(this.starts, row) - (this.holes?.count(row) ?? 0));
  }

  /**
   * Fills a row, from its first token to the columns in use, with the beginning of what snapshots are side by side. Before
   * any `begin`.
   *
   * @param pieces each the first `tokens` tokens of a snapshot
   */
  load(row: number, pieces: ReadonlyArray<{ readonly snapshot: RowSnapshot; readonly tokens: number }>): void {
    let column = at(this.starts, row);
    for (const { snapshot, tokens } of pieces) {
      const end = Math.min(this.filled, column + tokens);
      if (end <= column) return;
      const kept = [all, all, mx.Slice(0, end - column), all];
      const to = [mx.Slice(row, row + 1), all, mx.Slice(column, end), all];
      for (const [layer, keys] of this.keys.entries()) {
        keys.indexPut_(to, at(snapshot.keys, layer).index(...kept));
        at(this.values, layer).indexPut_(to, at(snapshot.values, layer).index(...kept));
      }
      column = end;
    }
  }

  /** A copy of a row's tokens from `from` up to `to`, which is not among them. */
  snapshot(row: number, from: number, to: number): RowSnapshot {
    const start = at(this.starts, row);
    const tokens = to - from;
    const { kvHeads, headDim } = this.shape;
    const rows = mx.array([row], mx.int32);
    const columns = this.holes && mx.array(this.holes.columnsOf(row, start, to).slice(from), mx.int32);
    const copy = (array: Tensor): Tensor => {
      // Of the row's copy, as a slice of the cache would keep its buffer. Column by column is 20 times slower.
      const whole = mx.take(array, rows, 0);
      if (columns !== undefined) return mx.take(whole, columns, 2);
      const used = whole.index(all, all, mx.Slice(start + from, start + to), all);
      return used.reshape(1, kvHeads * tokens * headDim).reshape(1, kvHeads, tokens, headDim);
    };
    const snapshot = {
      keys: this.keys.map(copy),
      values: this.values.map(copy),
      bytes: snapshotBytes(this.shape, tokens),
    };
    mx.asyncEval(...snapshot.keys, ...snapshot.values);
    return snapshot;
  }

  /** A row that is not used any more no longer keeps columns alive. */
  release(row: number): void {
    this.starts[row] = this.filled;
    this.holes?.close(row);
    if (this.holes?.none === true) this.holes = undefined;
  }

  /** Keeps these rows, in this order, and drops the columns that none of them uses, holes too. Copies. */
  select(rows: ReadonlyArray<number>): void {
    if (this.holes !== undefined) {
      this.closeHoles(this.holes, rows);
      return;
    }
    const starts = rows.map((row) => at(this.starts, row));
    const first = Math.min(this.filled, ...starts);
    const indices = mx.array([...rows], mx.int32);
    const kept = mx.Slice(first, this.filled);
    const spare = columnsPerGrowth;
    this.starts = starts.map((start) => start - first);
    this.filled -= first;
    this.columns = roundUp(this.filled + spare);
    const pick = (array: Tensor): Tensor =>
      this.widen(mx.take(array, indices, 0).index(all, all, kept, all), this.columns - this.filled, 0);
    this.replace(pick, pick);
  }

  /**
   * Takes a row of another cache, which has no holes, over into an unused row of this one. Copies the row; the other
   * cache is left as it is.
   */
  insert(row: number, source: KVCache, sourceRow: number): void {
    const sourceStart = at(source.starts, sourceRow);
    const length = source.filled - sourceStart;
    if (length > this.filled) this.shiftRight(length - this.filled);
    const from = [mx.Slice(sourceRow, sourceRow + 1), all, mx.Slice(sourceStart, source.filled), all];
    const to = [mx.Slice(row, row + 1), all, mx.Slice(this.filled - length, this.filled), all];
    for (const [layer, keys] of this.keys.entries()) {
      keys.indexPut_(to, at(source.keys, layer).index(...from));
      at(this.values, layer).indexPut_(to, at(source.values, layer).index(...from));
    }
    this.starts[row] = this.filled - length;
    this.holes?.begin(row, this.filled - length);
  }

  /** Adds unused rows. Copies. */
  addRows(count: number): void {
    const more = (array: Tensor): Tensor =>
      mx.concatenate([array, mx.zeros([count, this.shape.kvHeads, this.columns, this.shape.headDim])], 0);
    this.replace(more, more);
    this.starts.push(...Array.from({ length: count }, () => this.filled));
    this.holes?.addRows(count);
  }

  /** First drops columns that no row uses any more and closes holes; grows where that gives too little. */
  private makeRoom(tokens: number): void {
    const vain = this.vainColumns;
    const unused = Math.max(Math.min(...this.starts), vain >= this.filled / 16 ? vain : 0);
    if (unused >= Math.max(tokens, columnsPerGrowth)) {
      this.select(this.starts.keys().toArray());
      return;
    }
    const needed = this.filled + tokens;
    const columns = needed <= this.planned ? this.planAhead(needed) : roundUp(withSlack(needed));
    const grow = (array: Tensor): Tensor => this.widen(array, columns - this.columns, 0);
    this.replace(grow, grow);
    this.columns = columns;
  }

  private planAhead(needed: number): number {
    return Math.min(this.planned, roundUp(Math.ceil((needed + 1) / columnsOfPrefill) * columnsOfPrefill));
  }

  private shiftRight(by: number): void {
    const columns = roundUp(this.filled + by + columnsPerGrowth);
    const kept = mx.Slice(0, this.filled);
    const shift = (array: Tensor): Tensor =>
      this.widen(array.index(all, all, kept, all), columns - this.filled - by, by);
    this.replace(shift, shift);
    this.columns = columns;
    this.filled += by;
    this.starts = this.starts.map((start) => start + by);
    this.holes?.shift(by);
  }

  /** For each row what its next token's column is ahead of its place; float32 [rows, 1]. */
  private shifts(holes: Holes): Tensor {
    const shifts = this.starts.map((start, row) => start + holes.count(row));
    return mx.array(shifts, mx.float32).reshape(this.rows, 1);
  }

  /** Keeps these rows and puts the tokens of each side by side, all of them up to the last column. */
  private closeHoles(holes: Holes, rows: ReadonlyArray<number>): void {
    const lengths = rows.map((row) => this.length(row));
    const filled = Math.max(...lengths);
    const columns = roundUp(filled + columnsPerGrowth);
    const picked = rows.map((row, index) => {
      const length = at(lengths, index);
      const own = holes.columnsOf(row, at(this.starts, row), length);
      return {
        row: mx.array([row], mx.int32),
        columns: mx.array([...Array.from({ length: filled - length }, () => 0), ...own], mx.int32),
      };
    });
    const pick = (array: Tensor): Tensor => {
      const parts = picked.map((each) => mx.take(mx.take(array, each.row, 0), each.columns, 2));
      return this.widen(mx.concatenate(parts, 0), columns - filled, 0);
    };
    this.replace(pick, pick);
    this.starts = lengths.map((length) => filled - length);
    this.filled = filled;
    this.columns = columns;
    this.holes = undefined;
  }

  /** Zero columns after and before. */
  private widen(array: Tensor, after: number, before: number): Tensor {
    const [rows = 0] = array.shape;
    const zeros = (columns: number): Tensor[] =>
      columns === 0 ? [] : [mx.zeros([rows, this.shape.kvHeads, columns, this.shape.headDim])];
    return mx.concatenate([...zeros(before), array, ...zeros(after)], 2);
  }

  /** Does not wait for the device, which may be at the slice before. */
  private replace(ofKeys: (array: Tensor) => Tensor, ofValues: (array: Tensor) => Tensor): void {
    this.keys = this.keys.map(ofKeys);
    this.values = this.values.map(ofValues);
    mx.asyncEval(...this.arrays);
  }
}

export const snapshotBytes = (shape: CacheShape, tokens: number): number =>
  2 * 4 * shape.layers * shape.kvHeads * shape.headDim * tokens;

/** Bytes that rows of this many tokens take. */
export const bytesOf = (shape: CacheShape, rows: number, columns: number): number =>
  rows * snapshotBytes(shape, roundUp(columns));

/** Growing copies, so a cache grows by an eighth at a time. */
export const withSlack = (columns: number): number => Math.ceil(columns * 1.125);

const roundUp = (columns: number): number => Math.ceil(columns / columnsPerGrowth) * columnsPerGrowth;

const at = <A>(values: ReadonlyArray<A>, index: number): A => {
  const value = values[index];
  if (value === undefined) throw new RangeError(`index ${index} is not below ${values.length}`);
  return value;
};
