/** Finds the bytes of single tokens, which text decoders do not report, as a character may span several tokens. */
import { hasPart, type TokenizerPart } from "./has-part.ts";
import { byteLevelAlphabet } from "./longest-token.ts";

export interface TokenBytesInput {
  /** The decoded tokenizer.json. */
  readonly tokenizerJson: object;
  readonly pieces: ReadonlyArray<string | undefined>;
  readonly addedTokenIds: ReadonlySet<number>;
  /** Of known ids, special tokens included. */
  readonly decode: (ids: number[]) => string;
}

/** The bytes of an id; empty for an unknown one. */
export const createTokenBytes = ({
  tokenizerJson,
  pieces,
  addedTokenIds,
  decode,
}: TokenBytesInput): ((id: number) => Uint8Array<ArrayBuffer>) => {
  // The library has built a tokenizer from this file, so its parts are well-formed.
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
    // The second of two equal tokens is never the first of a text, whose leading space a decoder may trim.
    return utf8(decode([id, id]).slice(decode([id]).length));
  };
};

/** Undefined if one of the characters represents no byte. */
const bytesOfCharacters = (piece: string): Uint8Array<ArrayBuffer> | undefined => {
  const bytes = new Uint8Array(piece.length);
  for (let at = 0; at < piece.length; at++) {
    const byte = byteOfUnit[piece.charCodeAt(at)] ?? -1;
    if (byte < 0) return undefined;
    bytes[at] = byte;
  }
  return bytes;
};

/** By UTF-16 unit: each character that represents a byte is one unit, none above U+0143. */
const byteOfUnit = new Int16Array(0x144).fill(-1);
for (const [byte, character] of byteLevelAlphabet().entries()) byteOfUnit[character.charCodeAt(0)] = byte;

const encoder = new TextEncoder();
const utf8 = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);
