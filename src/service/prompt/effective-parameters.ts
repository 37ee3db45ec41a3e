/**
 * Determines the parameters that a generation runs with. The request takes precedence over the model's configuration,
 * its family and the built-in defaults.
 */
import { Result } from "effect";

import { ContextLengthExceeded } from "../domain/errors.ts";
import type { EffectiveParameters, SamplingParams, StopCriteria } from "../domain/generation-task.ts";
import type { ModelDefaults } from "../domain/model.ts";

export interface ParameterInputs {
  readonly sampling: SamplingParams;
  readonly stop: StopCriteria;
  readonly defaults: ModelDefaults;
  readonly eosTokenIds: ReadonlyArray<number>;
  readonly promptTokens: number;
  readonly contextLength: number;
  /** Unsigned, 32 bits: the seed if the request has none. */
  readonly randomSeed: number;
}

export interface ResolvedParameters {
  readonly parameters: EffectiveParameters;
  /**
   * The output limit is a default that was cut to the room left in the context: output that reaches it has filled the
   * context.
   */
  readonly fillsContext: boolean;
}

/**
 * The model's configuration takes precedence over the family's profile and the built-in defaults, field by field; the
 * stop sequences of both are combined. Other fields are left out.
 */
export const resolveDefaults = (configured: Partial<ModelDefaults>, family: Partial<ModelDefaults>): ModelDefaults => ({
  temperature: configured.temperature ?? family.temperature ?? fallback.temperature,
  topP: configured.topP ?? family.topP ?? fallback.topP,
  topK: configured.topK ?? family.topK,
  minP: configured.minP ?? family.minP ?? fallback.minP,
  repetitionPenalty: configured.repetitionPenalty ?? family.repetitionPenalty ?? fallback.repetitionPenalty,
  presencePenalty: configured.presencePenalty ?? family.presencePenalty ?? fallback.presencePenalty,
  frequencyPenalty: configured.frequencyPenalty ?? family.frequencyPenalty ?? fallback.frequencyPenalty,
  maxOutputTokens: configured.maxOutputTokens ?? family.maxOutputTokens ?? fallback.maxOutputTokens,
  stopSequences: distinct([...(family.stopSequences ?? []), ...(configured.stopSequences ?? [])]),
});

/**
 * An explicit output limit that does not fit beside the prompt is refused. A default is cut to the room left, at least
 * one token. The model's stop sequences come first, then the request's.
 */
export const resolveParameters = (
  inputs: ParameterInputs,
): Result.Result<ResolvedParameters, ContextLengthExceeded> => {
  const { sampling, stop, defaults, promptTokens, contextLength } = inputs;
  const room = contextLength - promptTokens;
  const minOutputTokens = stop.minOutputTokens ?? 0;
  const wanted = stop.maxOutputTokens ?? Math.max(defaults.maxOutputTokens, minOutputTokens);
  const needed = stop.maxOutputTokens ?? Math.max(1, minOutputTokens);
  if (needed > room) {
    return Result.fail(
      new ContextLengthExceeded({ promptTokens, maxOutputTokens: needed, contextLength, estimated: false }),
    );
  }
  const eos = stop.ignoreEos ? [] : inputs.eosTokenIds;
  return Result.succeed({
    parameters: {
      temperature: sampling.temperature ?? defaults.temperature,
      topP: sampling.topP ?? defaults.topP,
      topK: sampling.topK ?? defaults.topK,
      minP: sampling.minP ?? defaults.minP,
      repetitionPenalty: sampling.repetitionPenalty ?? defaults.repetitionPenalty,
      presencePenalty: sampling.presencePenalty ?? defaults.presencePenalty,
      frequencyPenalty: sampling.frequencyPenalty ?? defaults.frequencyPenalty,
      seed: sampling.seed ?? inputs.randomSeed,
      maxOutputTokens: Math.min(wanted, room),
      minOutputTokens,
      stopSequences: distinct([
        ...(stop.replacesModelStops === true ? [] : defaults.stopSequences),
        ...stop.stopSequences,
      ]),
      stopTokenIds: distinct([...eos, ...stop.stopTokenIds]),
    },
    fillsContext: wanted > room,
  });
};

/** For settings that neither the model's configuration nor its family has. */
const fallback = {
  temperature: 0.7,
  topP: 0.9,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  maxOutputTokens: 2048,
};

const distinct = <A>(values: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(values)];
