/** Which sequences of the queue are prefilled together. */
import { type CachedPrefix, commonPrefix, minCachedTokens } from "../cache/prefix-cache.ts";
import type { Sequence } from "../sequence/sequence.ts";

/** A sequence from the queue with what the cache has of it. */
export interface Candidate {
  readonly sequence: Sequence;
  readonly prefix: CachedPrefix | undefined;
}

export const uncachedTokens = ({ sequence, prefix }: Candidate): number =>
  sequence.promptTokenIds.length - (prefix?.tokens ?? 0);

/** What wants all logits of its prompt goes alone; what wants a vector goes with its like. */
export const goTogether = (group: ReadonlyArray<Candidate>): boolean => {
  const sequences = group.map(({ sequence }) => sequence);
  if (group.length > 1 && sequences.some(({ promptLogprobs }) => promptLogprobs)) return false;
  const embedded = sequences.filter(({ embedding }) => embedding !== undefined).length;
  return (embedded === 0 || embedded === group.length) && isEven(group);
};

/** Like lengths, as padding is wasted work, and not too many tokens in all. */
const isEven = (group: ReadonlyArray<Candidate>): boolean => {
  if (group.length === 1) return true;
  const uncached = group.map(uncachedTokens);
  const most = Math.max(...uncached);
  return most * group.length <= maxGroupTokens && most <= 2 * Math.min(...uncached);
};

/** Whether `other` would find enough more than it has in the cache, once `first` is computed. */
export const sharesWork = (first: Sequence, other: Sequence, alreadyCached: number): boolean =>
  first.cache.write &&
  other.cache.read &&
  first.cache.partition === other.cache.partition &&
  commonPrefix(first.promptTokenIds, other.promptTokenIds) - alreadyCached >= minSharedTokens;

/** Waiting for another's prefill costs a turn: it has to save more. */
const minSharedTokens = 2 * minCachedTokens;

const maxGroupTokens = 2048;
