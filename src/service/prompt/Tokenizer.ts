/** A model's tokenizer. It runs on untrusted input, so it is used in the sandbox only. */

export interface TokenizeOptions {
  /** Adds the special tokens that the tokenizer puts around a text, e.g. a beginning-of-sequence token. */
  readonly addSpecialTokens: boolean;
}

interface DetokenizeOptions {
  readonly skipSpecialTokens: boolean;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  /**
   * An upper bound on the bytes of UTF-8 that one token stands for, with each run of white space counted as one byte;
   * Infinity if no bound is known. `fewestTokens` derives a lower bound of the token count from it.
   */
  readonly longestTokenBytes: number;
  readonly encode: (text: string, options: TokenizeOptions) => ReadonlyArray<number>;
  /** Bytes that are not valid UTF-8 become U+FFFD. An empty list is the empty text. */
  readonly decode: (ids: ReadonlyArray<number>, options: DetokenizeOptions) => string;
  /** Whether it is left out of texts, because it is a marker for the model or for the reader of its output. */
  readonly isSpecial: (id: number) => boolean;
  /** A token as the vocabulary spells it; undefined for an unknown id. */
  readonly piece: (id: number) => string | undefined;
  /**
   * The bytes that a token adds to a text, which may be part of a character; for an added token, special or not, its
   * spelling. Empty for an unknown id. If the decoder trims the leading space of a text, the first token still includes
   * it.
   */
  readonly bytes: (id: number) => Uint8Array<ArrayBuffer>;
}
