/**
 * The seed of one of several candidates, an unsigned 32-bit number. The first candidate has the request's own seed. A
 * request for one answer with a candidate's seed gives that candidate's answer.
 */
export const candidateSeed = (seed: number, candidateIndex: number): number =>
  (seed + Math.imul(candidateIndex, seedStep)) >>> 0;

/** 2^32 divided by the golden ratio. It is odd, so its multiples modulo 2^32 all differ. The API documents it. */
const seedStep = 2_654_435_769;
