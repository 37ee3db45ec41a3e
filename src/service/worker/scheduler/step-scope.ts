/** Frees what a step made as soon as the step ends, except for what later steps need. */
import { mx, type Tensor } from "../mlx.ts";

export class StepScope {
  /** What earlier steps left and still holds. */
  private left: ReadonlySet<Tensor> = new Set();

  /**
   * Runs a step. With node-mlx nothing is freed here: V8's collector does it.
   *
   * @param leaves asked after the step: every tensor that later steps need. What an earlier step left is freed once it is
   * no longer among them. Tensors with an owner of their own (`Tensor.keep`) need not be.
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
