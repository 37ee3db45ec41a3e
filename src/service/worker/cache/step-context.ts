/** Positions and masks of one forward pass, derived from each row's start and holes in the KV cache. */
import { all, type AttentionMask, type Dtype, mx, type Tensor } from "../mlx.ts";
import type { Holes } from "./holes.ts";

/** What all layers of one forward pass share. */
export interface StepContext {
  readonly places: TokenPlaces;
  /** For layers with full attention. */
  readonly visible: Visible;
  /** For layers whose queries look at the last `window` tokens only, including their own. Computed once per window. */
  readonly visibleWithin: (window: number) => Visible;
}

/** The places of a pass's tokens in their sequences. */
interface TokenPlaces {
  /** Place of each row's first token, int32 [rows]; negative for padding. The others follow consecutively. */
  readonly offsets: Tensor;
  /** Place of every token, float32 [rows, tokens]; 0 for padding. */
  readonly positions: () => Tensor;
}

/** The columns of a cache that a layer looks at, and which of them each query sees. */
export interface Visible {
  readonly from: number;
  readonly to: number;
  /** A tensor is [rows, 1, tokens, to - from]: 0 where the query may look, -Infinity elsewhere. */
  readonly mask: AttentionMask;
}

/** The state of a cache before the pass. */
interface OpenColumns {
  /** First column of each row. */
  readonly starts: ReadonlyArray<number>;
  /** Number of columns in use; the pass writes after them. */
  readonly filled: number;
  readonly capacity: number;
  readonly holes: Holes | undefined;
  /**
   * The type of the keys, and so of the masks: a wider mask would widen the scores, and with them the values of the
   * whole cache.
   */
  readonly type: Dtype;
}

/**
 * Whether attention runs over a view of the columns in use. With node-mlx it runs over the whole capacity with a mask,
 * because a view would live until the collector runs, and every write would copy the array until then.
 */
const hasViews = mx.binding === "own";

/** @param tokens how many columns the pass writes */
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
    // With holes, a window of tokens covers more columns than tokens.
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
  // Without holes columns can be compared instead of places: they differ by the row's start.
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
 * Vanishes in a softmax immediately; a large finite number would take the slow path through underflow. Every query sees
 * at least its own column, even in padding and free rows, so that none computes NaN.
 */
const masked = Number.NEGATIVE_INFINITY;
