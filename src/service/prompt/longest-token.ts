/**
 * Finds a lower bound of a text's token count without tokenising it, so that a text far over the context length is
 * refused at no cost.
 */
import { hasPart } from "./has-part.ts";

/**
 * A lower bound of the token count. Each run of white space counts as one byte, because some added tokens (phi's)
 * absorb all white space beside them.
 */
export const fewestTokens = (text: string, longestTokenBytes: number): number =>
  Math.ceil(utf8Bytes(text.replace(/\s+/g, " ")) / longestTokenBytes);

/**
 * An upper bound on a token's bytes of UTF-8, before normalisation and with each run of white space counted as one
 * byte. Infinity if the tokenizer may drop text, so that there is no bound. Errs on the long side.
 */
export const longestTokenBytes = (tokenizerJson: object, pieces: ReadonlyArray<string | undefined>): number => {
  // The library has built a tokenizer from this file, so its parts are well-formed.
  const { normalizer, pre_tokenizer, model, added_tokens } = tokenizerJson as TokenizerJson;
  const known = new Set(pieces);
  const byteLevel = hasPart(pre_tokenizer, "ByteLevel");
  if (!keepsText(pre_tokenizer) || model.type !== "BPE") return Infinity;
  // If there is a piece for each byte, nothing is unknown. Otherwise a run of unknown characters may become one token,
  // or none.
  if (!(byteLevel ? byteLevelAlphabet() : byteFallbackAlphabet()).every((piece) => known.has(piece))) return Infinity;
  const added = new Set(added_tokens.map(({ content }) => content));
  let longest = 1;
  for (const piece of pieces) {
    if (piece === undefined) continue;
    // A byte-level piece has one character per byte.
    longest = Math.max(longest, byteLevel && !added.has(piece) ? piece.length : utf8Bytes(piece));
  }
  return Math.ceil(longest * shrinkage(normalizer));
};

interface Part {
  readonly type: string;
  readonly normalizers?: ReadonlyArray<Part>;
  readonly pretokenizers?: ReadonlyArray<Part>;
  readonly pattern?: { readonly String?: string };
  readonly content?: string;
  readonly behavior?: string;
  readonly invert?: boolean;
}

interface TokenizerJson {
  readonly normalizer: Part | null;
  readonly pre_tokenizer: Part | null;
  readonly model: { readonly type?: string };
  readonly added_tokens: ReadonlyArray<{ readonly content: string }>;
}

/** How many bytes a normaliser may turn into one. */
const shrinkage = (normalizer: Part | null): number => {
  if (normalizer === null) return 1;
  switch (normalizer.type) {
    case "Sequence":
      return (normalizer.normalizers ?? []).reduce((product, part) => product * shrinkage(part), 1);
    // The worst case over all code points, verified by a test: U+1D7D8 (4 bytes) is "0" in NFKC; in NFC U+1FEF (3) is
    // "`", and U+1FBE U+0308 U+0301 (7) is U+0390 (2).
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
    case "Lowercase":
      return 4;
    case "Prepend":
      return 1;
    case "Replace": {
      const from = normalizer.pattern?.String;
      return from === undefined ? Infinity : Math.max(1, utf8Bytes(from) / utf8Bytes(normalizer.content ?? ""));
    }
    default:
      return Infinity;
  }
};

const keepsText = (part: Part | null): boolean => {
  if (part === null) return true;
  switch (part.type) {
    case "Sequence":
      return (part.pretokenizers ?? []).every(keepsText);
    case "Split":
      return part.behavior !== "Removed" && part.invert !== true;
    case "ByteLevel":
    case "Metaspace":
    case "Digits":
      return true;
    default:
      return false;
  }
};

/**
 * The character that represents each byte in a byte-level vocabulary, as in GPT-2: printable bytes represent
 * themselves, the other 68 bytes are U+0100 and up.
 */
export const byteLevelAlphabet = (): ReadonlyArray<string> => {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 255 && byte !== 173);
  let others = 0;
  return bytes.map((byte) => String.fromCharCode(printable(byte) ? byte : 256 + others++));
};

const byteFallbackAlphabet = (): ReadonlyArray<string> =>
  bytes.map((byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);

const bytes = Array.from({ length: 256 }, (_, byte) => byte);

const utf8Bytes = (text: string): number => Buffer.byteLength(text);
