/** A model's tokenizer. It is code that works on what others bring, so it lives in the sandbox. */

export interface TokenizeOptions {
  /** Adds what the tokenizer puts around a text, e.g. a beginning-of-sequence token. */
  readonly addSpecialTokens: boolean;
}

interface DetokenizeOptions {
  readonly skipSpecialTokens: boolean;
}

export interface Tokenizer {
  readonly vocabularySize: number;
  /**
   * Bytes of UTF-8 that no single token stands for more of, white space counted once per run; Infinity where that cannot
   * be told. `fewestTokens` makes a lower bound of it.
   */
  readonly longestTokenBytes: number;
  readonly encode: (text: string, options: TokenizeOptions) => ReadonlyArray<number>;
  /** Bytes that are no valid UTF-8 read as U+FFFD. An empty list is the empty text. */
  readonly decode: (ids: ReadonlyArray<number>, options: DetokenizeOptions) => string;
  /** Whether it is left out of texts: a mark for the model, or for who reads its output. */
  readonly isSpecial: (id: number) => boolean;
  /** A token as the vocabulary spells it; undefined for an id that it does not have. */
  readonly piece: (id: number) => string | undefined;
  /**
   * What a token adds to a text, which may be part of a character; an added token, special or not, as it is spelled. None
   * for an id that the vocabulary does not have. Where a decoder trims the space that a text begins with, the first token
   * still has it.
   */
  readonly bytes: (id: number) => Uint8Array<ArrayBuffer>;
}
