/** The table of token embeddings, which may also be the output layer. */
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
  const { mode, groupSize, bits } = quantization;
  return {
    lookup: (tokens) => {
      const [words, own, offsets] = [weight, scales, biases].map((part) => part && mx.take(part, tokens, 0));
      if (words === undefined || own === undefined) throw new RangeError("a quantised table has words and scales");
      return mx.dequantize(words, own, offsets, groupSize, bits, mode, weights.activations);
    },
    asLinear,
  };
};
