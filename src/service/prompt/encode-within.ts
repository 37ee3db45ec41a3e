import { Result } from "effect";

import { fewestTokens } from "./longest-token.ts";
import type { TokenizeOptions, Tokenizer } from "./Tokenizer.ts";

/**
 * Tokenises a text that has to fit into `limit` tokens. One that is far too long costs no more than a text that fits:
 * four million characters are seconds of work in which the service answers nobody.
 *
 * @returns more than `limit` tokens where it is a little too long; where it is far too long a failure, with a number of
 *   tokens that it has at least
 */
export const encodeWithin = (
  tokenizer: Tokenizer,
  text: string,
  options: TokenizeOptions,
  limit: number,
): Result.Result<ReadonlyArray<number>, number> => {
  const fewest = fewestTokens(text, tokenizer.longestTokenBytes);
  if (fewest > limit) return Result.fail(fewest);
  for (let length = limit * unitsPerToken; length < text.length; length *= 2) {
    const tokens = tokenizer.encode(text.slice(0, length).toWellFormed(), options).length;
    // Tokens at the cut may join with what follows, but never a third of all.
    if (tokens > limit * 1.5) return Result.fail(Math.floor(tokens / 1.5));
  }
  return Result.succeed(tokenizer.encode(text, options));
};

/** UTF-16 units. Ordinary text has less than 5 to a token. */
const unitsPerToken = 8;
