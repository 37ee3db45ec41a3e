/**
 * The keys and values of several sequences, side by side.
 *
 * Every layer has one keys array and one values array of shape [rows, kvHeads, capacity, headDim]. All rows write at
 * the same column, `end`. The tokens of row r are in columns [start[r], end): shorter sequences are padded on the left,
 * and masks exclude the padding. Keys are rotated by true positions (column - start), so a row can be copied anywhere.
 *
 * `retract` takes rejected tokens back: columns that no row keeps are given back, and columns that only some rows keep
 * become holes in the others (holes.ts) until the next copy closes them.
 *
 * Attention runs over the columns in use, with a mask only if rows differ (step-context.ts). With node-mlx it runs over
 * the whole capacity with a mask: there a slice is a handle on the buffer that lives until the garbage collector runs,
 * and while it lives every in-place write copies the array (measured: 12 times slower). For the same reason capacity
 * grows in small steps.
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

/**
 * Attention covers a longer cache only as far as it is filled, so its prefill grows it by this many columns at a time.
 */
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
  /** The views that the layers of the current pass use. */
  private views: Tensor[] = [];
  /** Undefined while there are none. */
  private holes: Holes | undefined;

  /**
   * @param lengths tokens that each row will hold when its prefill is done; they determine where the rows start
   * @param spare further columns to allocate
   * @param remaining tokens that are still to be computed; the tokens before them are loaded, row by row
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

  /** Number of columns in use. */
  get end(): number {
    return this.filled;
  }

  /** Number of allocated columns. */
  get capacity(): number {
    return this.columns;
  }

  get bytes(): number {
    return bytesOf(this.shape, this.rows, this.columns);
  }

  /** Opens the next `tokens` columns and returns what the layers need to know about them. */
  begin(tokens: number): StepContext {
    if (this.filled + tokens > this.columns) this.makeRoom(tokens);
    this.pending = tokens;
    const { starts, filled, columns: capacity, holes } = this;
    return makeStepContext({ starts, filled, capacity, holes, type: elementType(this.shape) }, tokens);
  }

  /**
   * Writes a layer's keys and values [rows, kvHeads, tokens, headDim] into the open columns and returns those of the
   * columns that the layer looks at. The result is valid until `commit`.
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

  /** Closes the open columns after every layer has written. */
  commit(): void {
    // On a GPU a write copies the array while a view of it exists.
    for (const view of this.views) view.dispose();
    this.views = [];
    this.filled += this.pending;
    this.pending = 0;
  }

  /**
   * Takes rejected tokens back: of the last `fed` tokens each row keeps only the first ones. Call it after their
   * commit.
   *
   * @param kept how many each row keeps; undefined for a free row
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

  /** How many columns in use would be free if the holes were closed. */
  get vainColumns(): number {
    return this.holes === undefined ? 0 : this.filled - Math.max(...this.starts.map((_, row) => this.length(row)));
  }

  /** The tensors that it holds. */
  get tensors(): ReadonlyArray<Tensor> {
    return [...this.arrays, ...(this.holes?.tensors ?? [])];
  }

  /** The arrays to evaluate. */
  get arrays(): ReadonlyArray<Tensor> {
    return [...this.keys, ...this.values];
  }

  /** How many tokens a row holds. */
  length(row: number): number {
    return Math.max(0, this.filled - at(this.starts, row) - (this.holes?.count(row) ?? 0));
  }

  /**
   * Fills a row, from its first token up to the columns in use, with the concatenated beginnings of snapshots. Call it
   * before any `begin`.
   *
   * @param pieces each is the first `tokens` tokens of a snapshot
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

  /** A copy of a row's tokens from `from` up to but excluding `to`. */
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

  /** The row is no longer used and keeps no columns alive. */
  release(row: number): void {
    this.starts[row] = this.filled;
    this.holes?.close(row);
    if (this.holes?.none === true) this.holes = undefined;
  }

  /** Keeps these rows, in this order, and drops the columns that none of them uses, holes included. Copies. */
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
   * Copies a row of another cache, which has no holes, into an unused row of this one. The other cache is not changed.
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

  /** First drops columns that no row uses any more and closes holes; grows if that does not free enough. */
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

  /** Keeps these rows and makes the tokens of each adjacent, ending at the last column. */
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

  /** Does not wait for the device, which may still compute the previous slice. */
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
