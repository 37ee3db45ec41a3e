/**
 * The texts of a model's tokens: everything of its tokenizer that is needed to read output. It is data only and
 * contains no code of the model.
 */

export interface Vocabulary {
  readonly size: number;
  /** Whether it is left out of texts, because it is a marker for the model or for the reader of its output. */
  readonly isSpecial: (id: number) => boolean;
  /** A token as the vocabulary spells it; undefined for an unknown id. */
  readonly piece: (id: number) => string | undefined;
  /**
   * The bytes that a token adds to a text, which may be part of a character; for an added token, special or not, its
   * spelling. Empty for an unknown id. Must not be modified.
   */
  readonly bytes: (id: number) => Uint8Array<ArrayBuffer>;
  /** The spellings of special tokens. */
  readonly specials: ReadonlySet<string>;
  /** Whether the tokenizer adds a space at the beginning of a text, which has to be removed again. */
  readonly dropsFirstSpace: boolean;
}

/** The vocabulary as a structured clone: a few buffers, however many tokens there are. */
export interface VocabularyTable {
  /** The concatenated UTF-8 of all pieces, and where each ends. */
  readonly pieces: Uint8Array<ArrayBuffer>;
  readonly pieceEnds: Uint32Array;
  /** The concatenated bytes of all tokens, and where each ends. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly byteEnds: Uint32Array;
  /** For each id: `known`, `special`, or both. */
  readonly flags: Uint8Array;
  readonly dropsFirstSpace: boolean;
}

export const known = 1;
export const special = 2;

export const createVocabulary = (table: VocabularyTable): Vocabulary => {
  const { pieces, pieceEnds, bytes, byteEnds, flags, dropsFirstSpace } = table;
  const is = (flag: number, id: number): boolean => ((flags[id] ?? 0) & flag) !== 0;
  const part = (all: Uint8Array<ArrayBuffer>, ends: Uint32Array, id: number) =>
    all.subarray(ends[id - 1] ?? 0, ends[id] ?? 0);
  const piece = (id: number) => (is(known, id) ? decoder.decode(part(pieces, pieceEnds, id)) : undefined);
  const specials = Array.from(flags.keys()).flatMap((id) => (is(special, id) ? (piece(id) ?? []) : []));
  return {
    size: flags.length,
    isSpecial: (id) => is(special, id),
    specials: new Set(specials.filter((each) => each !== "")),
    piece,
    bytes: (id) => (is(known, id) ? part(bytes, byteEnds, id) : new Uint8Array()),
    dropsFirstSpace,
  };
};

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
