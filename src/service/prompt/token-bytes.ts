/** The bytes of single tokens, which decoders of texts do not tell: a character may be spread over several. */
import { byteLevelAlphabet } from "./longest-token.ts";

export interface TokenBytesInput {
  /** tokenizer.json, decoded. */
  readonly tokenizerJson: object;
  readonly pieces: ReadonlyArray<string | undefined>;
  readonly addedTokenIds: ReadonlySet<number>;
  /** Of known ids, special tokens included. */
  readonly decode: (ids: number[]) => string;
}

/** Of an id; none for one that the vocabulary does not have. */
export const createTokenBytes = ({
  tokenizerJson,
  pieces,
  addedTokenIds,
  decode,
}: TokenBytesInput): ((id: number) => Uint8Array<ArrayBuffer>) => {
  // The library has built a tokenizer from this file, so its parts are what they should be.
  const { decoder } = tokenizerJson as { readonly decoder?: Part | null };
  const byteLevel = hasPart(decoder, "ByteLevel");
  const byteFallback = hasPart(decoder, "ByteFallback");
  return (id) => {
    const piece = pieces[id];
    if (piece === undefined) return new Uint8Array();
    if (addedTokenIds.has(id)) return utf8(piece);
    if (byteLevel) {
      const bytes = Array.from(piece, (character) => byteOfCharacter.get(character));
      return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : utf8(piece);
    }
    const byte = byteFallback ? /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    // The second of two is no text's first token, whose space a decoder may trim.
    return utf8(decode([id, id]).slice(decode([id]).length));
  };
};

interface Part {
  readonly type: string;
  readonly decoders?: ReadonlyArray<Part>;
}

const hasPart = (part: Part | null | undefined, type: string): boolean =>
  part !== null &&
  part !== undefined &&
  (part.type === type || (part.decoders ?? []).some((one) => hasPart(one, type)));

const byteOfCharacter: ReadonlyMap<string, number> = new Map(
  byteLevelAlphabet().map((character, byte) => [character, byte]),
);

const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
