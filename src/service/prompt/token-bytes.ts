/** The bytes of single tokens, which decoders of texts do not tell: a character may be spread over several. */
import { hasPart, type TokenizerPart } from "./has-part.ts";
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
  const { decoder } = tokenizerJson as { readonly decoder?: TokenizerPart | null };
  const byteLevel = hasPart(decoder, "ByteLevel");
  const byteFallback = hasPart(decoder, "ByteFallback");
  return (id) => {
    const piece = pieces[id];
    if (piece === undefined) return new Uint8Array();
    if (addedTokenIds.has(id)) return utf8(piece);
    if (byteLevel) return bytesOfCharacters(piece) ?? utf8(piece);
    const byte = byteFallback ? /^<0x([0-9A-F]{2})>$/.exec(piece)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    // The second of two is no text's first token, whose space a decoder may trim.
    return utf8(decode([id, id]).slice(decode([id]).length));
  };
};

/** Undefined where one of them stands for no byte. */
const bytesOfCharacters = (piece: string): Uint8Array<ArrayBuffer> | undefined => {
  const bytes = new Uint8Array(piece.length);
  for (let at = 0; at < piece.length; at++) {
    const byte = byteOfUnit[piece.charCodeAt(at)] ?? -1;
    if (byte < 0) return undefined;
    bytes[at] = byte;
  }
  return bytes;
};

/** By UTF-16 unit: the characters for bytes have one each, none over U+0143. */
const byteOfUnit = new Int16Array(0x144).fill(-1);
for (const [byte, character] of byteLevelAlphabet().entries()) byteOfUnit[character.charCodeAt(0)] = byte;

const encoder = new TextEncoder();
const utf8 = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);
