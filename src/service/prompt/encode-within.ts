/**
 * Tokenises a text that has to fit into a number of tokens. A text that is far too long costs no more than one that
 * fits.
 */
import { fewestTokens } from "./longest-token.ts";
import type { TokenizeOptions, Tokenizer } from "./Tokenizer.ts";

/** All tokens of a text, or those of its beginning if it was truncated. */
export interface Encoded {
  readonly tokenIds: Uint32Array;
  readonly truncated: boolean;
}

/** A lower bound of the number of tokens, which exceeds the limit; the exact number was not computed. */
export interface TooLong {
  readonly atLeast: number;
}

/** If the text is only a little too long, all its tokens are returned, more than `limit`. */
export const encodeWithin = (
  tokenizer: Tokenizer,
  text: string,
  options: TokenizeOptions,
  limit: number,
): Encoded | TooLong => {
  const fewest = fewestTokens(text, tokenizer.longestTokenBytes);
  if (fewest > limit) return { atLeast: fewest };
  for (let length = limit * unitsPerToken; length < text.length; length *= 4) {
    const tokens = tokenizer.encode(text.slice(0, length).toWellFormed(), options).length;
    // Tokens at the cut may merge with the text that follows, but never as many as a third.
    if (tokens > limit * 1.5) return { atLeast: Math.floor(tokens / 1.5) };
  }
  return { tokenIds: new Uint32Array(tokenizer.encode(text, options)), truncated: false };
};

/** In UTF-16 units. Ordinary text has fewer than 5 per token. */
const unitsPerToken = 8;

/**
 * A text that is too long is truncated within its special tokens, because a model that uses the end token has to find
 * it.
 */
export const encodeWithinOrCut = (
  tokenizer: Tokenizer,
  text: string,
  options: TokenizeOptions,
  limit: number,
): Encoded => {
  const encoded = encodeWithin(tokenizer, text, options, limit);
  if ("tokenIds" in encoded && encoded.tokenIds.length <= limit) return encoded;
  return { tokenIds: new Uint32Array(beginning(tokenizer, text, options, limit)), truncated: true };
};

const beginning = (
  tokenizer: Tokenizer,
  text: string,
  options: TokenizeOptions,
  limit: number,
): ReadonlyArray<number> => {
  const around = tokenizer.encode(text, options);
  const within = options.addSpecialTokens ? tokenizer.encode(text, { addSpecialTokens: false }) : around;
  const specials = around.length - within.length;
  const startsAt = (at: number): boolean => within.slice(0, 8).every((id, index) => around[at + index] === id);
  const before = Array.from({ length: specials + 1 }, (_, at) => at).find(startsAt) ?? 0;
  const kept = Math.max(0, limit - specials);
  return [...around.slice(0, before), ...within.slice(0, kept), ...around.slice(before + within.length)].slice(
    0,
    limit,
  );
};
