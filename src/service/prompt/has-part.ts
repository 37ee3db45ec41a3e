/** Whether a tokenizer's file has a decoder or pre-tokenizer of a type, alone or within a sequence. */
export interface TokenizerPart {
  readonly type: string;
  readonly decoders?: ReadonlyArray<TokenizerPart>;
  readonly pretokenizers?: ReadonlyArray<TokenizerPart>;
}

export const hasPart = (part: TokenizerPart | null | undefined, type: string): boolean => {
  if (part === null || part === undefined) return false;
  const inner = [...(part.decoders ?? []), ...(part.pretokenizers ?? [])];
  return part.type === type || inner.some((one) => hasPart(one, type));
};
