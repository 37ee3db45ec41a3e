/** Positions and masks of one forward pass, which follow from where each row of a KV cache begins and has holes. */
import { all, type AttentionMask, type Dtype, mx, type Tensor } from "../mlx.ts";
import type { Holes } from "./holes.ts";

/** What every layer of one forward pass shares. */
export interface StepContext {
  readonly places: TokenPlaces;
  /** For layers that look at everything. */
  readonly visible: Visible;
  /** For layers whose queries look at the last `window` tokens alone, themselves among them. Made once for each window. */
  readonly visibleWithin: (window: number) => Visible;
}

/** Where the tokens of a pass stand in their sequences. */
interface TokenPlaces {
  /** Of each row's first token, int32 [rows]; below 0 for padding. The others follow one by one. */
  readonly offsets: Tensor;
  /** The same of every token, float32 [rows, tokens]; 0 for padding. */
  readonly positions: () => Tensor;
}

/** The columns of a cache that a layer looks at, and which of these each query sees. */
export interface Visible {
  readonly from: number;
  readonly to: number;
  /** A tensor is [rows, 1, tokens, to - from]: 0 where the query may look, -Infinity elsewhere. */
  readonly mask: AttentionMask;
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

/**
 * Whether attention runs over the columns in use, and not over the whole capacity with a mask: that takes a view, which
 * node-mlx keeps until the collector comes by, and as long as it lives every write copies the array.
 */
const hasViews = mx.binding === "own";

/** @param tokens columns that the pass writes */
export const makeStepContext = (columns: OpenColumns, tokens: number): StepContext => {
  const { starts, filled, capacity, holes } = columns;
  const shifts = starts.map((start, row) => start + (holes?.count(row) ?? 0));
  const end = filled + tokens;
  const first = hasViews ? Math.min(filled, ...starts) : 0;
  const to = hasViews ? end : capacity;
  const isEven = hasViews && holes === undefined && starts.every((start) => start === first);
  const visible = isEven
    ? { from: first, to, mask: tokens === 1 ? undefined : ("causal" as const) }
    : { from: first, to, mask: maskOf(columns, tokens, { from: first, to }) };
  const makeWithin = (window: number): Visible => {
    if (hasViews && end - first <= window) return visible;
    // With holes a window reaches back over more columns than it has tokens.
    const from = hasViews && holes === undefined ? Math.max(first, filled + 1 - window) : first;
    if (isEven && tokens === 1) return { from, to, mask: undefined };
    return { from, to, mask: maskOf(columns, tokens, { from, to, window }) };
  };
  const within = new Map<number, Visible>();
  return {
    places: {
      offsets: mx.array(
        shifts.map((shift) => filled - shift),
        mx.int32,
      ),
      positions: () => mx.maximum(ownPlaces(shifts, filled, tokens), 0),
    },
    visible,
    visibleWithin: (window) => {
      const made = within.get(window) ?? makeWithin(window);
      within.set(window, made);
      return made;
    },
  };
};

/** Each token's place in its row's sequence, float32 [rows, tokens]. */
const ownPlaces = (shifts: ReadonlyArray<number>, filled: number, tokens: number): Tensor =>
  mx.subtract(
    mx.arange(filled, filled + tokens, 1, mx.float32).reshape(1, tokens),
    mx.array([...shifts], mx.float32).reshape(shifts.length, 1),
  );

const maskOf = (
  { starts, filled, capacity, holes, type }: OpenColumns,
  tokens: number,
  { from, to, window }: { readonly from: number; readonly to: number; readonly window?: number },
): Tensor => {
  const rows = starts.length;
  const columns = mx.arange(from, to, 1, mx.float32).reshape(1, 1, 1, to - from);
  const queryColumns = mx.arange(filled, filled + tokens, 1, mx.float32).reshape(1, 1, tokens, 1);
  // Without holes columns are as good as places: they differ by the row's start.
  let [keyPlaces, queryPlaces] = [columns, queryColumns];
  if (holes !== undefined) {
    const known = holes.places({ starts, filled, capacity });
    keyPlaces = known.index(all, mx.Slice(from, to)).reshape(rows, 1, 1, to - from);
    const shifts = starts.map((start, row) => start + holes.count(row));
    queryPlaces = ownPlaces(shifts, filled, tokens).reshape(rows, 1, tokens, 1);
  }
  const begins = mx.minimum(mx.array([...starts], mx.float32).reshape(rows, 1, 1, 1), queryColumns);
  const seen = mx.logicalAnd(mx.greaterEqual(columns, begins), mx.lessEqual(keyPlaces, queryPlaces));
  const near =
    window === undefined ? seen : mx.logicalAnd(seen, mx.greater(keyPlaces, mx.subtract(queryPlaces, window)));
  return mx.where(near, 0, masked).astype(type);
};

/**
 * Vanishes in a softmax, and does so at once: a large finite number takes the slow way to underflow. Every query sees its
 * own column at least, also one that is padding or of a free row, so that none of them computes NaN.
 */
const masked = Number.NEGATIVE_INFINITY;
