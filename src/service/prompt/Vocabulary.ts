/** What the tokens of a model say: all that is needed of its tokenizer to read output. It is data, and no code of a model's. */

export interface Vocabulary {
  readonly size: number;
  /** Whether it is left out of texts: a mark for the model, or for who reads its output. */
  readonly isSpecial: (id: number) => boolean;
  /** A token as the vocabulary spells it; undefined for an id that it does not have. */
  readonly piece: (id: number) => string | undefined;
  /**
   * What a token adds to a text, which may be part of a character; an added token, special or not, as it is spelled. None
   * for an id that the vocabulary does not have. Do not change it.
   */
  readonly bytes: (id: number) => Uint8Array<ArrayBuffer>;
  /** Special tokens, as they are spelled. */
  readonly specials: ReadonlySet<string>;
  /** The first space of a text is not its own: the tokenizer puts one there. */
  readonly dropsFirstSpace: boolean;
}

/** The same as a structured clone: a few buffers, however many tokens there are. */
export interface VocabularyTable {
  /** UTF-8 of all pieces, one after another, and where each ends. */
  readonly pieces: Uint8Array<ArrayBuffer>;
  readonly pieceEnds: Uint32Array;
  /** The same of their bytes. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly byteEnds: Uint32Array;
  /** Of each id: `known`, `special`, or both. */
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
