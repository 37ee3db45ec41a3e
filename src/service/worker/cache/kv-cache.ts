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
 * Attention runs over the columns in use, with a mask only where rows differ (step-context.ts). With node-mlx it runs over
 * the whole capacity with a mask: a slice is a handle on the buffer that lives until the garbage collector comes by, and as
 * long as it does every in-place write copies the array (measured: 12 times slower). For the same reason capacity grows in
 * small steps.
 */
import { all, mx, type Tensor } from "../mlx.ts";
import {
  bytesOf,
  type CacheShape,
  columnsPerGrowth,
  elementType,
  roundUp,
  snapshotBytes,
  withSlack,
} from "./cache-size.ts";
import { Holes } from "./holes.ts";
import { copyColumns, gatherColumns, rowIndex, type RowSnapshot, widen, writeColumns } from "./row-copies.ts";
import { makeStepContext, type StepContext, type Visible } from "./step-context.ts";

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
  /** What the layers of the open pass look at. */
  private views: Tensor[] = [];
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
    const empty = (): Tensor =>
      mx.zeros([lengths.length, shape.kvHeads, this.columns, shape.headDim], elementType(shape));
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
    const { starts, filled, columns: capacity, holes } = this;
    return makeStepContext({ starts, filled, capacity, holes, type: elementType(this.shape) }, tokens);
  }

  /**
   * Writes a layer's keys and values [rows, kvHeads, tokens, headDim] into the open columns and gives back those of the
   * columns that it looks at. They last until `commit`.
   */
  update(
    layer: number,
    keys: Tensor,
    values: Tensor,
    { from, to }: Pick<Visible, "from" | "to">,
  ): { readonly keys: Tensor; readonly values: Tensor } {
    const layerKeys = at(this.keys, layer);
    const layerValues = at(this.values, layer);
    layerKeys.putColumns_(this.filled, keys);
    layerValues.putColumns_(this.filled, values);
    if (to - from === this.columns) return { keys: layerKeys, values: layerValues };
    const seen = [all, all, mx.Slice(from, to), all];
    const views = { keys: layerKeys.index(...seen), values: layerValues.index(...seen) };
    this.views.push(views.keys, views.values);
    return views;
  }

  /** Closes the open columns, once every layer has written. */
  commit(): void {
    // On a GPU a write copies the array as long as there is a view of it.
    for (const view of this.views) view.dispose();
    this.views = [];
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

  /** All that it holds. */
  get tensors(): ReadonlyArray<Tensor> {
    return [...this.arrays, ...(this.holes?.tensors ?? [])];
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
      this.write({ row, begin: column, end }, snapshot, { row: 0, begin: 0 });
      column = end;
    }
  }

  /** A copy of a row's tokens from `from` up to `to`, which is not among them. */
  snapshot(row: number, from: number, to: number): RowSnapshot {
    const start = at(this.starts, row);
    const index = rowIndex(row);
    const columns = this.holes && mx.array(this.holes.columnsOf(row, start, to).slice(from), mx.int32);
    const copy = (array: Tensor): Tensor =>
      columns === undefined
        ? copyColumns(array, index, start + from, start + to)
        : gatherColumns(array, index, columns);
    const snapshot = {
      keys: this.keys.map(copy),
      values: this.values.map(copy),
      bytes: snapshotBytes(this.shape, to - from),
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
    this.starts = starts.map((start) => start - first);
    this.filled -= first;
    this.columns = roundUp(this.filled + columnsPerGrowth);
    const after = this.columns - this.filled;
    this.replace((array) => widen(mx.take(array, indices, 0).index(all, all, kept, all), { after }));
  }

  /**
   * Takes a row of another cache, which has no holes, over into an unused row of this one. Copies the row; the other
   * cache is left as it is.
   */
  insert(row: number, source: KVCache, sourceRow: number): void {
    const sourceStart = at(source.starts, sourceRow);
    const length = source.filled - sourceStart;
    if (length > this.filled) this.shiftRight(length - this.filled);
    const begin = this.filled - length;
    this.write(
      { row, begin, end: this.filled },
      { keys: source.keys, values: source.values },
      { row: sourceRow, begin: sourceStart },
    );
    this.starts[row] = begin;
    this.holes?.begin(row, begin);
  }

  /** Adds unused rows. Copies. */
  addRows(count: number): void {
    const { kvHeads, headDim } = this.shape;
    this.replace((array) => {
      const rows = mx.zeros([count, kvHeads, this.columns, headDim], array.dtype);
      return mx.concatenate([array, rows], 0);
    });
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
    const after = columns - this.columns;
    this.replace((array) => widen(array, { after }));
    this.columns = columns;
  }

  private planAhead(needed: number): number {
    return Math.min(this.planned, roundUp(Math.ceil((needed + 1) / columnsOfPrefill) * columnsOfPrefill));
  }

  private shiftRight(by: number): void {
    const columns = roundUp(this.filled + by + columnsPerGrowth);
    const kept = mx.Slice(0, this.filled);
    const after = columns - this.filled - by;
    this.replace((array) => widen(array.index(all, all, kept, all), { before: by, after }));
    this.columns = columns;
    this.filled += by;
    this.starts = this.starts.map((start) => start + by);
    this.holes?.shift(by);
  }

  /** Keeps these rows and puts the tokens of each side by side, all of them up to the last column. */
  private closeHoles(holes: Holes, rows: ReadonlyArray<number>): void {
    const lengths = rows.map((row) => this.length(row));
    const filled = Math.max(...lengths);
    const columns = roundUp(filled + columnsPerGrowth);
    const picked = rows.map((row, index) => {
      const length = at(lengths, index);
      const own = holes.columnsOf(row, at(this.starts, row), length);
      const padded = [...Array.from({ length: filled - length }, () => 0), ...own];
      return { row: rowIndex(row), columns: mx.array(padded, mx.int32) };
    });
    const after = columns - filled;
    this.replace((array) => {
      const parts = picked.map((each) => gatherColumns(array, each.row, each.columns));
      return widen(mx.concatenate(parts, 0), { after });
    });
    this.starts = lengths.map((length) => filled - length);
    this.filled = filled;
    this.columns = columns;
    this.holes = undefined;
  }

  private write(
    to: { readonly row: number; readonly begin: number; readonly end: number },
    source: Pick<RowSnapshot, "keys" | "values">,
    from: { readonly row: number; readonly begin: number },
  ): void {
    for (const [layer, keys] of this.keys.entries()) {
      writeColumns(keys, to, at(source.keys, layer), from);
      writeColumns(at(this.values, layer), to, at(source.values, layer), from);
    }
  }

  /** Does not wait for the device, which may be at the slice before. */
  private replace(change: (array: Tensor) => Tensor): void {
    this.keys = this.keys.map(change);
    this.values = this.values.map(change);
    mx.asyncEval(...this.arrays);
  }
}

const at = <A>(values: ReadonlyArray<A>, index: number): A => {
  const value = values[index];
  if (value === undefined) throw new RangeError(`index ${index} is not below ${values.length}`);
  return value;
};
