/** The sizes of KV caches, and the steps in which they grow. */
import { type Dtype, mx } from "../mlx.ts";

export interface CacheShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Of keys and values: the model's activation type. @default float32 */
  readonly type?: Dtype;
}

export const elementType = ({ type = mx.float32 }: CacheShape): Dtype => type;

/** Bytes of the keys and values of this many tokens, in all layers. */
export const snapshotBytes = (shape: CacheShape, tokens: number): number =>
  2 * elementType(shape).size * shape.layers * shape.kvHeads * shape.headDim * tokens;

/** Bytes of this many rows with this many columns. */
export const bytesOf = (shape: CacheShape, rows: number, columns: number): number =>
  rows * snapshotBytes(shape, roundUp(columns));

/** Growing copies the cache, so it grows by an eighth at a time. */
export const withSlack = (columns: number): number => Math.ceil(columns * 1.125);

/** Rounds up to a whole growth step. */
export const roundUp = (columns: number): number => Math.ceil(columns / columnsPerGrowth) * columnsPerGrowth;

export const columnsPerGrowth = 64;
