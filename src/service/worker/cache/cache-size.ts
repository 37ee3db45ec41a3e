/** How large KV caches are, and in which steps they grow. */
import { type Dtype, mx } from "../mlx.ts";

export interface CacheShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Of keys and values: what a model's activations are. @default float32 */
  readonly type?: Dtype;
}

export const elementType = ({ type = mx.float32 }: CacheShape): Dtype => type;

/** Bytes of the keys and values of so many tokens, in every layer. */
export const snapshotBytes = (shape: CacheShape, tokens: number): number =>
  2 * elementType(shape).size * shape.layers * shape.kvHeads * shape.headDim * tokens;

/** Bytes that rows of this many columns take. */
export const bytesOf = (shape: CacheShape, rows: number, columns: number): number =>
  rows * snapshotBytes(shape, roundUp(columns));

/** Growing copies, so a cache grows by an eighth at a time. */
export const withSlack = (columns: number): number => Math.ceil(columns * 1.125);

/** To whole steps of growth. */
export const roundUp = (columns: number): number => Math.ceil(columns / columnsPerGrowth) * columnsPerGrowth;

export const columnsPerGrowth = 64;
