/** A key for what the turns of one conversation have in common. */

/** The same for the same parts, in every runtime and version; two that differ almost never share one. */
export const prefixKeyOf = (...parts: readonly unknown[]): string => {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return [0x811c9dc5, 0x9e3779b9].map((basis) => fnv1a(bytes, basis).toString(16).padStart(8, "0")).join("");
};

/** http://www.isthe.com/chongo/tech/comp/fnv: short, synchronous, and no secret depends on it. */
const fnv1a = (bytes: Uint8Array, basis: number): number => {
  let hash = basis;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
};
