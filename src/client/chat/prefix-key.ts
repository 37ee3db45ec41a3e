/** A key for the common prefix of the turns of a conversation. */

/** A hash of the parts, the same in every runtime and version. */
export const prefixKeyOf = (...parts: readonly unknown[]): string => {
  const bytes = new TextEncoder().encode(JSON.stringify(parts));
  return [0x811c9dc5, 0x9e3779b9].map((basis) => fnv1a(bytes, basis).toString(16).padStart(8, "0")).join("");
};

/** http://www.isthe.com/chongo/tech/comp/fnv: short and synchronous; it does not have to be secure. */
const fnv1a = (bytes: Uint8Array, basis: number): number => {
  let hash = basis;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
};
