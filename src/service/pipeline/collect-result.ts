import type { GenerationEvent, GenerationResult } from "../domain/generation.ts";

/** Folds a complete run of events into its result. An engine that ends without `finished` is a bug. */
export const collectResult = (events: ReadonlyArray<GenerationEvent>): GenerationResult => {
  const [started] = events;
  const chunks = events.filter((event) => event.type === "chunk");
  const finished = events.filter((event) => event.type === "finished");
  const last = finished.at(-1);
  if (started?.type !== "started" || last === undefined) throw new Error("a generation ended unfinished");
  const candidates = finished
    .toSorted((a, b) => a.candidateIndex - b.candidateIndex)
    .map((end) => {
      const own = chunks.filter(({ candidateIndex }) => candidateIndex === end.candidateIndex);
      return {
        text: own.map(({ text }) => text).join(""),
        tokenIds: own.flatMap(({ tokenIds }) => tokenIds),
        logprobs: own.flatMap(({ logprobs }) => logprobs),
        finished: end,
      };
    });
  const outputTokens = finished.reduce((sum, { usage }) => sum + usage.outputTokens, 0);
  return { started, candidates, usage: { ...last.usage, outputTokens }, timings: last.timings };
};
