/** Parts of a job that have limits of their own: reading a model's files is no part of what is done with them. */

/** What the watchdog looks at: the number of the phase that runs, or 0, and how many times the limits it has. */
export const phases = new Int32Array(new SharedArrayBuffer(8));

/** Times those of other work: it is done once, in time that grows with the files, whose size is bounded. */
export const readingLimits = 6;

let count = 0;

/** From here on the limits are counted anew. */
export const beginPhase = (limits = 1): void => {
  count += 1;
  Atomics.store(phases, 1, limits);
  Atomics.store(phases, 0, count);
  Atomics.notify(phases, 0);
};

export const endPhases = (): void => {
  Atomics.store(phases, 0, 0);
};
