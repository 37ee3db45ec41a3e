/**
 * What is used of @huggingface/tokenizers. The package's own declarations leave out file extensions, so under NodeNext
 * everything in them is an unresolved type; tsconfig.json reads this file in their place.
 */
export interface Encoding {
  ids: number[];
  tokens: string[];
  attention_mask: number[];
}

export interface EncodeOptions {
  text_pair?: string | null;
  /** @default true */
  add_special_tokens?: boolean;
}

export interface DecodeOptions {
  /** @default false */
  skip_special_tokens?: boolean;
  /** Unset: as the tokenizer's own configuration says. */
  clean_up_tokenization_spaces?: boolean | null;
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

export class Decoder {
  decode(tokens: string[]): string;
}

export class ByteFallbackDecoder extends Decoder {
  text_decoder: TextDecoder;
}

export class SequenceDecoder extends Decoder {
  decoders: Decoder[];
}

export class Model {
  /** Pieces by id, added tokens included, with holes where an id has none. */
  vocab: (string | undefined)[];
}

export class BPE extends Model {
  /** By rank. */
  merges: [string, string][];
  bpe_ranks: Map<string, number>;
  end_of_word_suffix?: string | null;
  continuing_subword_suffix?: string | null;
  cache: { get(word: string): string[] | undefined; put(word: string, pieces: string[]): void };
  /** Words of that many UTF-16 units are not cached. */
  max_length_to_cache: number;
  /** The contents of `model` in tokenizer.json. */
  constructor(config: object);
  bpe(word: string): string[];
}

export class Tokenizer {
  /** Null where tokenizer.json names none. */
  decoder: Decoder | null;
  model: Model;
  /** The contents of tokenizer.json and of tokenizer_config.json. */
  constructor(tokenizer: object, config: object);
  encode(text: string, options?: EncodeOptions): Encoding;
  decode(tokenIds: number[], options?: DecodeOptions): string;
  tokenize(text: string, options?: EncodeOptions): string[];
  token_to_id(token: string): number | undefined;
  id_to_token(id: number): string | undefined;
  get_added_tokens_decoder(): Map<number, AddedToken>;
  get_vocab(withAddedTokens?: boolean): Map<string, number>;
}
