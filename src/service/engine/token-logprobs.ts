/** Adds the texts of tokens to the logprobs that an engine reports. */
import type { TokenLogprob, TokenText } from "../domain/generation-result.ts";
import type { Vocabulary } from "../prompt/Vocabulary.ts";
import type { TokenLogprobs } from "../worker/protocol/sequence-events.ts";

/** @param logprobs undefined for the first token of a prompt, which nothing precedes */
export const describeLogprobs = (
  vocabulary: Vocabulary,
  tokenId: number,
  logprobs: TokenLogprobs | undefined,
): TokenLogprob => ({
  ...tokenText(vocabulary, tokenId),
  logprob: logprobs?.logprob,
  top: logprobs?.top.map(({ logprob, ...token }) => ({ ...tokenText(vocabulary, token.tokenId), logprob })) ?? [],
});

const tokenText = (vocabulary: Vocabulary, tokenId: number): TokenText => {
  const raw = vocabulary.bytes(tokenId);
  return { tokenId, text: decoder.decode(raw), raw };
};

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
