/** GPT-2's byte-level alphabet: printable bytes represent themselves, the other 68 bytes are U+0100 and up. */
export const byteOf = (character: string): number => {
  const codePoint = character.codePointAt(0) ?? 0;
  return codePoint < 256 ? codePoint : (others[codePoint - 256] ?? 0);
};

const isPrintable = (byte: number): boolean => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);

const others: ReadonlyArray<number> = Array.from({ length: 256 }, (_, byte) => byte).filter(
  (byte) => !isPrintable(byte),
);
