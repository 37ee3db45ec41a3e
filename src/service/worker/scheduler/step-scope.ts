/** Frees the arrays of a step when it ends, except those that later steps need. */
import { mx, type Tensor } from "../mlx.ts";

export class StepScope {
  /** The arrays of earlier steps that are still needed. */
  private left: ReadonlySet<Tensor> = new Set();

  /**
   * Runs a step. With node-mlx nothing is freed here, because V8's collector does it.
   *
   * @param leaves called after the step; returns every tensor that later steps need. A tensor of an earlier step is
   *   freed once it is no longer among them. Tensors with an owner of their own (`Tensor.keep`) need not be included.
   */
  run<Result>(step: () => Result, leaves: () => Iterable<Tensor>): Result {
    const scope = mx.openScope();
    try {
      const result = step();
      const next = new Set(leaves());
      for (const tensor of next) if (!this.left.has(tensor)) tensor.keep();
      for (const tensor of this.left) if (!next.has(tensor)) tensor.dispose();
      this.left = next;
      return result;
    } finally {
      mx.closeScope(scope);
    }
  }
}
