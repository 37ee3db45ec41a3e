/**
 * Copies of rows of a KV cache's arrays, which are [rows, kvHeads, columns, headDim]. A slice would be a handle on the
 * whole buffer, so what outlives a step is copied.
 */
import { all, mx, type Tensor } from "../mlx.ts";

/** A sequence's keys and values apart from any batch: for each layer [1, kvHeads, tokens, headDim]. */
export interface RowSnapshot {
  readonly keys: ReadonlyArray<Tensor>;
  readonly values: ReadonlyArray<Tensor>;
  readonly bytes: number;
}

/** Index of a row, for the copies below: made once for the arrays of all layers. */
export const rowIndex = (row: number): Tensor => mx.array([row], mx.int32);

/** Columns [from, to) of a row, a copy of its own. */
export const copyColumns = (array: Tensor, row: Tensor, from: number, to: number): Tensor => {
  const [, kvHeads = 0, , headDim = 0] = array.shape;
  const tokens = to - from;
  // Of the row's copy, as a slice of the cache would keep its buffer. Column by column is 20 times slower.
  const used = mx.take(array, row, 0).index(all, all, mx.Slice(from, to), all);
  return used.reshape(1, kvHeads * tokens * headDim).reshape(1, kvHeads, tokens, headDim);
};

/** These columns of a row, int32 [tokens], one after another. */
export const gatherColumns = (array: Tensor, row: Tensor, columns: Tensor): Tensor =>
  mx.take(mx.take(array, row, 0), columns, 2);

/** Zero columns before and after. */
export const widen = (array: Tensor, { before = 0, after = 0 }: { before?: number; after?: number }): Tensor => {
  const [rows = 0, kvHeads = 0, , headDim = 0] = array.shape;
  const zeros = (columns: number): Tensor[] =>
    columns === 0 ? [] : [mx.zeros([rows, kvHeads, columns, headDim], array.dtype)];
  return mx.concatenate([...zeros(before), array, ...zeros(after)], 2);
};

/** Writes columns [from, to) of a source's row into columns of a row that end at `end`. */
export const writeColumns = (
  target: Tensor,
  { row, begin, end }: { readonly row: number; readonly begin: number; readonly end: number },
  source: Tensor,
  { row: sourceRow, begin: from }: { readonly row: number; readonly begin: number },
): void => {
  const taken = [mx.Slice(sourceRow, sourceRow + 1), all, mx.Slice(from, from + end - begin), all];
  target.indexPut_([mx.Slice(row, row + 1), all, mx.Slice(begin, end), all], source.index(...taken));
};
