import type { GenerationEvent, GenerationResult } from "../domain/generation-result.ts";
import { usageOfAnswers } from "../domain/usage.ts";

/**
 * Collects the events of a complete generation into its result. The parameters are those of the last `started` event.
 * Throws if there is no `finished` event, which is a bug.
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
  return { started, candidates, usage: usageOfAnswers(finished.map(({ usage }) => usage)), timings: last.timings };
};
