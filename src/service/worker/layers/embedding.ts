/** The table of token embeddings, which may be the output layer as well. */
import { type Linear, multiplyBy } from "./linear.ts";
import { mx, type Tensor } from "../mlx.ts";
import type { Weights } from "../weights/weights.ts";

export interface Embedding {
  /** int32 [rows, tokens] to [rows, tokens, size]. */
  readonly lookup: (tokens: Tensor) => Tensor;
  /** The table as an output layer: [..., size] to [..., vocabularySize]. */
  readonly asLinear: Linear;
}

/** Throws LoadError. */
export const createEmbedding = (weights: Weights, path: string, vocabularySize: number, size: number): Embedding => {
  const table = weights.matrix(path, [vocabularySize, size]);
  const asLinear = multiplyBy(table);
  if (table.quantization === undefined) return { lookup: (tokens) => mx.take(table.weight, tokens, 0), asLinear };
  const { weight, scales, biases, quantization } = table;
  const pick = (part: Tensor, tokens: Tensor): Tensor => mx.take(part, tokens, 0);
  return {
    lookup: (tokens) =>
      mx.dequantize(
        pick(weight, tokens),
        pick(scales, tokens),
        pick(biases, tokens),
        quantization.groupSize,
        quantization.bits,
      ),
    asLinear,
  };
};
