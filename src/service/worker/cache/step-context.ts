/** Positions and masks of one forward pass, which follow from where each row of a KV cache begins and has holes. */
import { type Dtype, mx, type Tensor } from "../mlx.ts";
import type { Holes } from "./holes.ts";

/** What every layer of one forward pass shares. */
export interface StepContext {
  /** True position of each token in its sequence, float32 [rows, tokens]; 0 for padding. */
  readonly positions: Tensor;
  /** Added to attention scores: 0 where the query may look, very low elsewhere; [rows, 1, tokens, capacity]. */
  readonly mask: Tensor;
  /** The same for a query that looks at the last `window` tokens alone, itself among them. Made once for each window. */
  readonly windowMask: (window: number) => Tensor;
}

/** The columns of a cache as they are before the pass. */
interface OpenColumns {
  /** First column of each row. */
  readonly starts: ReadonlyArray<number>;
  /** Columns in use: the pass writes behind them. */
  readonly filled: number;
  readonly capacity: number;
  readonly holes: Holes | undefined;
  /** Of its keys, and so of the masks: a wider one would widen the scores, and with them the values of the whole cache. */
  readonly type: Dtype;
}

/** @param tokens columns that the pass writes */
export const makeStepContext = (
  { starts: firstColumns, filled, capacity, holes, type }: OpenColumns,
  tokens: number,
): StepContext => {
  const rows = firstColumns.length;
  const starts = mx.array([...firstColumns], mx.float32).reshape(rows, 1);
  const columns = mx.arange(0, capacity, 1, mx.float32).reshape(1, 1, 1, capacity);
  const queries = mx.arange(filled, filled + tokens, 1, mx.float32).reshape(1, tokens);
  const queryColumns = queries.reshape(1, 1, tokens, 1);
  // Without holes columns are as good as places: they differ by the row's start.
  const own = mx.subtract(queries, holes === undefined ? starts : shiftsOf(firstColumns, holes));
  const places = holes?.places({ starts: firstColumns, filled, capacity });
  const keyPlaces = places?.reshape(rows, 1, 1, capacity) ?? columns;
  const queryPlaces = places === undefined ? queryColumns : own.reshape(rows, 1, tokens, 1);
  const visible = mx.logicalAnd(
    mx.greaterEqual(columns, mx.minimum(starts.reshape(rows, 1, 1, 1), queryColumns)),
    mx.lessEqual(keyPlaces, queryPlaces),
  );
  const mask = mx.where(visible, 0, masked).astype(type);
  const windowMasks = new Map<number, Tensor>();
  return {
    positions: mx.maximum(own, 0),
    mask,
    windowMask: (window) => {
      const made =
        windowMasks.get(window) ??
        mx.where(mx.greater(keyPlaces, mx.subtract(queryPlaces, window)), mask, masked).astype(type);
      windowMasks.set(window, made);
      return made;
    },
  };
};

/**
 * Vanishes in a softmax, and does so at once: a large finite number takes the slow way to underflow. Every query sees its
 * own column at least, also one that is padding or of a free row, so that none of them computes NaN.
 */
const masked = Number.NEGATIVE_INFINITY;

/** For each row what its next token's column is ahead of its place; float32 [rows, 1]. */
const shiftsOf = (starts: ReadonlyArray<number>, holes: Holes): Tensor => {
  const shifts = starts.map((start, row) => start + holes.count(row));
  return mx.array(shifts, mx.float32).reshape(starts.length, 1);
};
