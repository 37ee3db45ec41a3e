import { LoadError } from "./load-error.ts";
import { mx, type Tensor } from "../mlx.ts";

/** Throws LoadError for a weight that is not finite: it would silently corrupt some results. */
export const assertFinite = (name: string, tensor: Tensor): void => {
  const [rows = 1] = tensor.shape;
  const rowsAtOnce = Math.max(1, Math.floor((rows * maxElements) / Math.max(1, tensor.size)));
  for (let row = 0; row < rows; row += rowsAtOnce) {
    const slice = rowsAtOnce >= rows ? tensor : tensor.index(mx.Slice(row, row + rowsAtOnce));
    // In 32 bits the sum of a tensor's finite weights does not overflow.
    if (!Number.isFinite(mx.sum(slice.astype(mx.float32)).item())) {
      throw new LoadError(`tensor ${name} has values that are not finite numbers`);
    }
  }
};

/**
 * Converted to 32 bits in one piece: 64 MiB. A whole embedding of 128,000 tokens would take 2 GB in addition to the
 * weights.
 */
const maxElements = 16 * 1024 ** 2;
