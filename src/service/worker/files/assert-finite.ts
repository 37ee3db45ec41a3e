import { LoadError } from "./load-error.ts";
import { mx, type Tensor } from "../mlx.ts";

/** Throws LoadError for a weight that is no number: it would spoil what some tokens compute, and nobody would be told. */
export const assertFinite = (name: string, tensor: Tensor): void => {
  // In 32 bits no sum of weights is too large for a number.
  if (Number.isFinite(mx.sum(tensor.astype(mx.float32)).item())) return;
  throw new LoadError(`tensor ${name} has values that are not finite numbers`);
};
