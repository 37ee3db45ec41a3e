/**
 * Parts of a job that have separate limits: reading a model's files does not count towards the work that is done with
 * them.
 */

/**
 * Shared with the watchdog: the number of the current phase, or 0 between jobs, and the factor by which its limits are
 * raised.
 */
export const phases = new Int32Array(new SharedArrayBuffer(8));

/**
 * The factor for reading a model's files. It happens once, and its time grows with the files, whose size is bounded.
 */
export const readingLimits = 6;

let count = 0;

/**
 * Begins a phase: time and memory are counted from zero.
 *
 * @param limits the factor by which the limits are raised
 */
export const beginPhase = (limits = 1): void => {
  count += 1;
  Atomics.store(phases, 1, limits);
  Atomics.store(phases, 0, count);
  Atomics.notify(phases, 0);
};

export const endPhases = (): void => {
  Atomics.store(phases, 0, 0);
};
