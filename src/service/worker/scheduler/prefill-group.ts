/** Decides which waiting sequences are prefilled together. */
import { type CachedPrefix, commonPrefix, minCachedTokens } from "../cache/prefix-cache.ts";
import type { Sequence } from "../sequence/sequence.ts";

/** A waiting sequence with its cached prefix. */
export interface Candidate {
  readonly sequence: Sequence;
  readonly prefix: CachedPrefix | undefined;
}

export const uncachedTokens = ({ sequence, prefix }: Candidate): number =>
  sequence.promptTokenIds.length - (prefix?.tokens ?? 0);

/**
 * A sequence that needs all logits of its prompt is prefilled alone; embeddings are prefilled only with other
 * embeddings.
 */
export const goTogether = (group: ReadonlyArray<Candidate>): boolean => {
  const sequences = group.map(({ sequence }) => sequence);
  if (group.length > 1 && sequences.some(({ promptLogprobs }) => promptLogprobs)) return false;
  const embedded = sequences.filter(({ embedding }) => embedding !== undefined).length;
  return (embedded === 0 || embedded === group.length) && isEven(group);
};

/** Similar lengths, because padding is wasted work, and a bounded total of tokens. */
const isEven = (group: ReadonlyArray<Candidate>): boolean => {
  if (group.length === 1) return true;
  const uncached = group.map(uncachedTokens);
  const most = Math.max(...uncached);
  return most * group.length <= maxGroupTokens && most <= 2 * Math.min(...uncached);
};

/** Whether `other` would find considerably more in the cache once `first` has been computed. */
export const sharesWork = (first: Sequence, other: Sequence, alreadyCached: number): boolean =>
  first.cache.write &&
  other.cache.read &&
  first.cache.partition === other.cache.partition &&
  commonPrefix(first.promptTokenIds, other.promptTokenIds) - alreadyCached >= minSharedTokens;

/** Waiting for another sequence's prefill costs a turn, so it has to save more than that. */
const minSharedTokens = 2 * minCachedTokens;

const maxGroupTokens = 2048;
