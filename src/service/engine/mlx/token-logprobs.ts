/** Logprobs as the engine process tells them, with what their tokens say. */
import type { TokenLogprob, TokenText } from "../../domain/generation.ts";
import type { Tokenizer } from "../../prompt/Tokenizer.ts";
import type { TokenLogprobs } from "../../worker/protocol.ts";

/** @param logprobs undefined for the first token of a prompt */
export const describeLogprobs = (
  tokenizer: Tokenizer,
  tokenId: number,
  logprobs: TokenLogprobs | undefined,
): TokenLogprob => ({
  ...tokenText(tokenizer, tokenId),
  logprob: logprobs?.logprob,
  top: logprobs?.top.map(({ logprob, ...token }) => ({ ...tokenText(tokenizer, token.tokenId), logprob })) ?? [],
});

const tokenText = (tokenizer: Tokenizer, tokenId: number): TokenText => {
  const raw = tokenizer.bytes(tokenId);
  return { tokenId, text: decoder.decode(raw), raw };
};

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
