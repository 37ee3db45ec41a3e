/** The logprobs of a piece of an answer, in the two forms that OpenAI's API has for them. */
import type { TokenLogprob } from "../../domain/generation-result.ts";
import { asObject, countOf, type Members } from "../backends/chunk-values.ts";

/**
 * Best first, as many alternatives as were asked for. A token whose logprob is missing or no number below
 * infinity is left out.
 *
 * @param value `choices[0].logprobs`: with `content` of a chat, with `tokens` of a text
 */
export const readLogprobs = (value: unknown, mostTop: number): ReadonlyArray<TokenLogprob> => {
  const logprobs = asObject(value);
  if (logprobs === undefined) return [];
  const entries = Array.isArray(logprobs["content"]) ? logprobs["content"].map(asObject) : entriesOfText(logprobs);
  return entries.flatMap((entry) => {
    const own = readToken(entry);
    if (own === undefined) return [];
    const others: ReadonlyArray<unknown> = Array.isArray(entry?.["top_logprobs"]) ? entry["top_logprobs"] : [];
    const top = others.flatMap((other) => readToken(asObject(other)) ?? []);
    return [{ ...own, top: top.toSorted((a, b) => b.logprob - a.logprob).slice(0, mostTop) }];
  });
};

const readToken = (entry: Members | undefined) => {
  const { token, logprob, id, bytes } = entry ?? {};
  if (typeof token !== "string" || typeof logprob !== "number" || !(logprob < Infinity)) return undefined;
  return { tokenId: countOf(id) ?? 0, text: token.toWellFormed(), raw: rawOf(bytes) ?? Buffer.from(token), logprob };
};

/** Text completions have a list of each kind: https://platform.openai.com/docs/api-reference/completions/object */
const entriesOfText = ({ tokens, token_logprobs: own, top_logprobs: top }: Members): ReadonlyArray<Members> =>
  listOf(tokens).map((token, index) => ({
    token,
    logprob: listOf(own)[index],
    top_logprobs: Object.entries(asObject(listOf(top)[index]) ?? {}).map(([text, logprob]) => ({
      token: text,
      logprob,
    })),
  }));

const listOf = (value: unknown): ReadonlyArray<unknown> => (Array.isArray(value) ? value : []);

/** A token may be a part of a character, which its text does not show. Small buffers share their memory. */
const rawOf = (bytes: unknown): Uint8Array<ArrayBuffer> | undefined =>
  Array.isArray(bytes) && bytes.every((byte) => Number.isInteger(byte) && byte >= 0 && byte < 256)
    ? Buffer.from(bytes as ReadonlyArray<number>)
    : undefined;
