/**
 * Copies of rows of a KV cache's arrays, which are [rows, kvHeads, columns, headDim]. A slice would keep the whole
 * buffer alive, so whatever outlives a step is copied.
 */
import { all, mx, type Tensor } from "../mlx.ts";

/** A sequence's keys and values outside of any batch: [1, kvHeads, tokens, headDim] for each layer. */
export interface RowSnapshot {
  readonly keys: ReadonlyArray<Tensor>;
  readonly values: ReadonlyArray<Tensor>;
  readonly bytes: number;
}

/** The index of a row for the functions below; made once and used for the arrays of all layers. */
export const rowIndex = (row: number): Tensor => mx.array([row], mx.int32);

/** A copy of columns [from, to) of a row. */
export const copyColumns = (array: Tensor, row: Tensor, from: number, to: number): Tensor => {
  const [, kvHeads = 0, , headDim = 0] = array.shape;
  const tokens = to - from;
  // The row is copied first, because a slice of the cache would keep its buffer alive. Copying column by column is 20
  // times slower.
  const used = mx.take(array, row, 0).index(all, all, mx.Slice(from, to), all);
  return used.reshape(1, kvHeads * tokens * headDim).reshape(1, kvHeads, tokens, headDim);
};

/** A copy of these columns of a row, int32 [tokens], in this order. */
export const gatherColumns = (array: Tensor, row: Tensor, columns: Tensor): Tensor =>
  mx.take(mx.take(array, row, 0), columns, 2);

/** Adds zero columns before and after. */
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
