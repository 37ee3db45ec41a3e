import type { GenerationEvent, GenerationFinished, GenerationResult, Usage } from "../domain/generation.ts";

/**
 * Folds a complete run of events into its result. One that started anew has the parameters of its last start. An engine that ends without `finished` is
 * a bug.
 */
export const collectResult = (events: ReadonlyArray<GenerationEvent>): GenerationResult => {
  const started = events.findLast((event) => event.type === "started");
  const chunks = events.filter((event) => event.type === "chunk");
  const finished = events.filter((event) => event.type === "finished");
  const last = finished.at(-1);
  if (started === undefined || last === undefined) throw new Error("a generation ended unfinished");
  const candidates = finished
    .toSorted((a, b) => a.candidateIndex - b.candidateIndex)
    .map((end) => {
      const own = chunks.filter(({ candidateIndex }) => candidateIndex === end.candidateIndex);
      return {
        text: own.map(({ text }) => text).join(""),
        reasoning: own.map(({ reasoning }) => reasoning).join(""),
        toolCalls: own.flatMap(({ toolCalls }) => toolCalls),
        tokenIds: own.flatMap(({ tokenIds }) => tokenIds),
        logprobs: own.flatMap(({ logprobs }) => logprobs),
        finished: end,
      };
    });
  return { started, candidates, usage: usageOverAll(finished, last), timings: last.timings };
};

/** The prompt, which all share, counts once. */
const usageOverAll = (finished: ReadonlyArray<GenerationFinished>, last: GenerationFinished): Usage => {
  const total = (count: (usage: Usage) => number | undefined): number | undefined => {
    const counts = finished.flatMap(({ usage }) => count(usage) ?? []);
    return counts.length === 0 ? undefined : sum(counts);
  };
  const reasoningTokens = total((usage) => usage.reasoningTokens);
  const draftedTokens = total((usage) => usage.draftedTokens);
  const acceptedDraftTokens = total((usage) => usage.acceptedDraftTokens);
  return {
    ...last.usage,
    outputTokens: sum(finished.map(({ usage }) => usage.outputTokens)),
    ...(reasoningTokens !== undefined && { reasoningTokens }),
    ...(draftedTokens !== undefined && { draftedTokens }),
    ...(acceptedDraftTokens !== undefined && { acceptedDraftTokens }),
  };
};

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0);
