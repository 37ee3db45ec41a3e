/** MLX as the worker uses it, and the memory discipline that it needs. */
import { chooseBinding } from "./binding/choose.ts";

export type { AttentionMask, Core, Dtype, QuantizationMode, Tensor } from "./binding/core.ts";

/** What was loaded, and why it is not what would have been taken first. */
export const binding = chooseBinding();

export const mx = binding.core;

/** Where MLX computes. On CPU weights and activations are float32. */
export const device: "cpu" | "metal" = mx.isAvailable("gpu") ? "metal" : "cpu";

/** All of an axis. */
export const all = mx.Slice();

const collectGarbage = (globalThis as { gc?: (options?: { readonly type: "minor" }) => void }).gc;
if (collectGarbage === undefined) throw new Error("the worker needs node --expose-gc");

/** Work since the last collection of either kind and since the last full one, in decode steps. */
let minorDebt = 0;
let fullDebt = 0;

/**
 * To be awaited between steps. The project's own binding frees what a step made with its scope (scheduler/step-scope.ts),
 * so the event loop turns and nothing else. With node-mlx arrays are freed by V8's collector alone, whose finalizers run
 * when the event loop turns: a loop without it grew to 10 GB on a 1.5 GB model. Nearly all arrays die within a step or
 * two, so collecting the young generation frees them (measured: the same resident size as full collections, at half their
 * cost); a full one now and then takes what was promoted.
 *
 * @param steps what was done since the last call, as a number of decode steps
 */
export const collectBetweenSteps = (steps: number): Promise<void> => {
  if (mx.binding === "node-mlx") collectFor(steps);
  return turn();
};

/** Frees what is left behind, buffers that MLX keeps among it, for when there is time: while loading, before a pause. */
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

/** Awaited between the parts of a load: where one engine computes at a time, another's turn may come. */
export const loading = { pause: (): Promise<void> => Promise.resolve() };

/** Waits until the device has computed all that it was given: a stream keeps the order. */
export const finishCommands = (): void => mx.eval(mx.add(mx.zeros([1]), 1));

const stepsPerMinorCollection = 2;
const stepsPerFullCollection = 64;
