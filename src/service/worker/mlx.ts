/** MLX as the worker uses it, and the memory management that it needs. */
import { chooseBinding } from "./binding/choose.ts";

export type { AttentionMask, Core, Dtype, QuantizationMode, Tensor } from "./binding/core.ts";

/** The binding that was loaded, and the reason if it is not the preferred one. */
export const binding = chooseBinding();

export const mx = binding.core;

/** Where MLX computes. On a CPU weights and activations are float32. */
export const device: "cpu" | "metal" = mx.isAvailable("gpu") ? "metal" : "cpu";

/** The full slice of an axis. */
export const all = mx.Slice();

const collectGarbage = (globalThis as { gc?: (options?: { readonly type: "minor" }) => void }).gc;
if (collectGarbage === undefined) throw new Error("the worker needs node --expose-gc");

/** Work since the last collection of any kind, and since the last full one, in decode steps. */
let minorDebt = 0;
let fullDebt = 0;

/**
 * Awaited between steps. The project's own binding frees a step's arrays with its scope (scheduler/step-scope.ts), so
 * only the event loop needs a turn. With node-mlx, arrays are freed by V8's collector only, whose finalizers run when
 * the event loop turns: a loop without it grew to 10 GB on a 1.5 GB model. Nearly all arrays die within a step or two,
 * so collecting the young generation frees them (measured: the same resident size as with full collections, at half
 * their cost); an occasional full collection frees promoted ones.
 *
 * @param steps the work since the last call, in decode steps
 */
export const collectBetweenSteps = (steps: number): Promise<void> => {
  if (mx.binding === "node-mlx") collectFor(steps);
  return turn();
};

/**
 * Frees everything that is unused, including buffers that MLX keeps, when there is time for it: while loading, before a
 * pause.
 */
export const collect = async (): Promise<void> => {
  collectGarbage();
  await turn();
  mx.clearCache();
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const collectFor = (steps: number): void => {
  minorDebt += steps;
  fullDebt += steps;
  if (fullDebt >= stepsPerFullCollection) {
    minorDebt = fullDebt = 0;
    collectGarbage();
  } else if (minorDebt >= stepsPerMinorCollection) {
    minorDebt = 0;
    collectGarbage({ type: "minor" });
  }
};

/** Awaited between the parts of a load, so that another engine can take its turn if engines compute one at a time. */
export const loading = { pause: (): Promise<void> => Promise.resolve() };

/** Waits until the device has computed everything that was submitted: a stream keeps the order. */
export const finishCommands = (): void => mx.eval(mx.add(mx.zeros([1]), 1));

const stepsPerMinorCollection = 2;
const stepsPerFullCollection = 64;
