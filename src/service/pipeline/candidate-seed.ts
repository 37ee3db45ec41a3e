/**
 * The seed of one of several answers: 32 bits, unsigned. The first has the request's own, so that it is what the single
 * run gives; the others' differ, and a request with such a seed gives that answer alone.
 */
export const candidateSeed = (seed: number, candidateIndex: number): number =>
  (seed + Math.imul(candidateIndex, seedStep)) >>> 0;

/** Odd, so that multiples below 2^32 all differ: the golden ratio's fraction. Told in the API's documentation. */
const seedStep = 2_654_435_769;
