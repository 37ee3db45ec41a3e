/**
 * The n-th random number of a sequence with this seed, in [0, 1). It is a pure function, so a seed gives the same text
 * alone, in any batch and after a restart. Two rounds of MurmurHash3's 32-bit finaliser over seed and index.
 */
export const uniform = (seed: number, index: number): number => {
  const high = mix(mix(seed ^ 0x9e3779b9) + index);
  const low = mix(high ^ 0x85ebca6b);
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
};

const mix = (value: number): number => {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
};
