import type { Tokenizer } from "./Tokenizer.ts";
import { known, special, type VocabularyTable } from "./Vocabulary.ts";

/** Makes the vocabulary table of a tokenizer. */
export const describeVocabulary = (tokenizer: Tokenizer): VocabularyTable => {
  const size = tokenizer.vocabularySize;
  const flags = new Uint8Array(size);
  const pieces = new Concatenation(size);
  const bytes = new Concatenation(size);
  for (let id = 0; id < size; id++) {
    const piece = tokenizer.piece(id);
    flags[id] = (piece === undefined ? 0 : known) | (tokenizer.isSpecial(id) ? special : 0);
    pieces.add(piece === undefined ? nothing : encoder.encode(piece));
    bytes.add(tokenizer.bytes(id));
  }
  return {
    pieces: pieces.all,
    pieceEnds: pieces.ends,
    bytes: bytes.all,
    byteEnds: bytes.ends,
    flags,
    dropsFirstSpace: dropsFirstSpace(tokenizer),
  };
};

const nothing = new Uint8Array();
const encoder = new TextEncoder();

/** Tested with a token that begins with a space, at the beginning of a text. */
const dropsFirstSpace = (tokenizer: Tokenizer): boolean => {
  for (let id = 0; id < tokenizer.vocabularySize; id++) {
    const bytes = tokenizer.bytes(id);
    if (bytes[0] !== space || bytes.length < 2 || tokenizer.isSpecial(id)) continue;
    return !tokenizer.decode([id], { skipSpecialTokens: false }).startsWith(" ");
  }
  return false;
};

const space = 0x20;

/** Concatenates byte strings in a buffer that grows. */
class Concatenation {
  readonly ends: Uint32Array;
  private buffer = new Uint8Array(1024);
  private count = 0;
  private length = 0;

  constructor(count: number) {
    this.ends = new Uint32Array(count);
  }

  add(bytes: Uint8Array): void {
    if (this.length + bytes.length > this.buffer.length) {
      const larger = new Uint8Array(2 * (this.length + bytes.length));
      larger.set(this.buffer);
      this.buffer = larger;
    }
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
    this.ends[this.count++] = this.length;
  }

  get all(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.length);
  }
}
