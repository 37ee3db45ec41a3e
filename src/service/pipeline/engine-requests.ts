import type { GenerationTask } from "../domain/generation-task.ts";
import { engineSchedulingOf } from "../domain/turn.ts";
import type { EngineRequest } from "../engine/Engine.ts";
import type { PromptTools } from "../models/prompting/PromptTools.ts";
import type { ResolvedParameters } from "../prompt/effective-parameters.ts";
import { candidateSeed } from "./candidate-seed.ts";
import { configuredStops, outputConstraint, outputReading, reasoningLimit } from "./prepare-output.ts";
import { markersOf } from "../output/output-format.ts";
import { stopTexts } from "../output/stop-texts.ts";
import type { PreparedPrompt } from "./prepare-prompt.ts";

/** The engine requests of a task: one for each candidate. They differ in their seeds. */
export const engineRequests = (
  id: string,
  task: GenerationTask,
  tools: PromptTools,
  { tokenIds, conversation, grammar, adapter }: PreparedPrompt,
  { parameters, fillsContext }: ResolvedParameters,
  { streams, receivedAt }: { readonly streams: boolean; readonly receivedAt: number },
): ReadonlyArray<EngineRequest> => {
  const { sampling, stop, output, cache } = task;
  const { logitBias = [], candidateCount = 1 } = sampling;
  const constraint = grammar && outputConstraint(task, tools, conversation, grammar);
  const shared = {
    promptTokenIds: tokenIds,
    logitBias,
    topLogprobs: output.topLogprobs,
    eosTokenIds: tools.facts.eosTokenIds,
    includeStopInOutput: stop.includeStopInOutput,
    stops: stopTexts({
      all: parameters.stopSequences,
      asked: stop.stopSequences,
      configured: configuredStops(tools),
      verbatim: output.verbatim,
      goesOnAfter: goesOnAfter(task, tools),
    }),
    reading: outputReading(task, tools, conversation),
    reasoningLimit: reasoningLimit(task, tools, conversation, constraint && parameters.maxOutputTokens),
    ...(constraint !== undefined && { constraint }),
    timeBudgetMs: stop.timeBudgetMs,
    cache,
    adapter,
    fillsContext,
    whole: !streams,
    scheduling: engineSchedulingOf(task.scheduling, receivedAt),
  };
  return Array.from({ length: candidateCount }, (_, candidateIndex) => ({
    ...shared,
    id: `${id}/${candidateIndex}`,
    parameters: { ...parameters, seed: candidateSeed(parameters.seed, candidateIndex) },
    promptLogprobs: output.promptLogprobs && candidateIndex === 0,
  }));
};

/** Tokens that end a part of the answer only, such as gpt-oss's reasoning. `verbatim` output keeps them. */
const goesOnAfter = (
  { stop, output }: GenerationTask,
  { vocabulary, outputFormat }: PromptTools,
): ReadonlySet<string> =>
  stop.ignoreEos ? vocabulary.specials : new Set(output.verbatim ? markersOf(outputFormat) : []);
