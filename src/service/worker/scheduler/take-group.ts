/** Takes sequences that can be computed together from the queue, in the order of turns. */
import type { CachedPrefix, PrefixCache } from "../cache/prefix-cache.ts";
import type { Sequence } from "../sequence/sequence.ts";
import type { Batch } from "./batch.ts";
import type { MemoryPlan } from "./memory-plan.ts";
import { type Candidate, goTogether, sharesWork } from "./prefill-group.ts";
import type { WaitingQueue } from "./waiting-queue.ts";

interface GroupLimits {
  readonly batch: Batch | undefined;
  readonly prefixes: PrefixCache;
  readonly memory: MemoryPlan;
  /** The most rows of the batch. */
  readonly maxBatch: number;
}

/** No sequence overtakes one that has no room yet. Empty if none can begin. */
export const takeGroup = (waiting: WaitingQueue, { batch, prefixes, memory, maxBatch }: GroupLimits): Candidate[] => {
  const running = batch?.rows.filter((sequence) => sequence !== undefined) ?? [];
  const group: Candidate[] = [];
  for (const sequence of waiting.inTurn(running)) {
    if (running.length + group.length === maxBatch) break;
    const candidate = { sequence, prefix: cachedPrefix(prefixes, sequence) };
    const next = [...group, candidate];
    if (!goTogether(next)) break;
    // An interactive prompt is not made longer by items of jobs.
    if (sequence.background && group.some((first) => !first.sequence.background)) break;
    // One sequence computes the common beginning, the others wait for it.
    if (group.some((first) => sharesWork(first.sequence, sequence, candidate.prefix?.tokens ?? 0))) break;
    const isAlone = running.length === 0 && group.length === 0;
    const sequences = next.map((each) => each.sequence);
    if (!isAlone && !memory.canJoin(batch, sequences)) break;
    group.push(candidate);
  }
  waiting.drop((sequence) => group.some((taken) => taken.sequence === sequence));
  return group;
};

/** Whether it starts from what is cached. Every logit of a prompt that is to be scored is needed, and they are not kept. */
export const looksUp = ({ cache, promptLogprobs }: Sequence): boolean => cache.read && !promptLogprobs;

/** At least one token of a prompt is computed, because its logits are needed. */
const cachedPrefix = (prefixes: PrefixCache, sequence: Sequence): CachedPrefix | undefined =>
  looksUp(sequence) ? prefixes.find(sequence.cache.partition, sequence.promptTokenIds.slice(0, -1)) : undefined;
