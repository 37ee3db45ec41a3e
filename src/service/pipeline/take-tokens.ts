/** Takes a task's tokens from its tenant's allowance. */
import { Effect, type Scope } from "effect";

import type { Allowance } from "../access/Allowance.ts";
import type { TaskTokens } from "../access/Quotas.ts";
import type { QuotaExceeded } from "../domain/errors.ts";
import type { GenerationTask, SamplingParams } from "../domain/generation-task.ts";
import type { ModelDefaults } from "../domain/model.ts";
import type { Usage } from "../domain/usage.ts";

/** The least that a task takes whose prompt has at least this many tokens. */
export const tokensOfPrompt = (prompt: number, output = 1, answers = 1): TaskTokens => ({
  longestPrompt: prompt,
  prompt,
  output,
  answers,
  precision: "at least",
});

/** The least that a task takes, as far as it is known before its prompt is tokenised. */
export const leastTokens = ({ input, stop, sampling }: GenerationTask): TaskTokens =>
  tokensOfPrompt(input.type === "tokens" ? input.ids.length : 1, stop.maxOutputTokens, sampling.candidateCount);

/** Takes the most tokens that the task may use. Unused ones are returned when the scope closes. */
export const takeTokens = (
  allowance: Allowance,
  tokens: TaskTokens,
  used: () => Usage,
): Effect.Effect<void, QuotaExceeded, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.suspend(() => Effect.fromResult(allowance.take(tokens))),
      ({ settle }) =>
        Effect.sync(() => {
          const { promptTokens, outputTokens } = used();
          settle(promptTokens + outputTokens);
        }),
    ),
  );

/**
 * A model's defaults with the output limited to what the tenant may request, so that a task without a limit of its own
 * is not refused.
 */
export const allowedDefaults = (
  defaults: ModelDefaults,
  allowance: Allowance,
  promptTokens: number,
  { candidateCount = 1 }: SamplingParams,
): ModelDefaults => {
  const maxOutputTokens = Math.min(defaults.maxOutputTokens, allowance.defaultOutput(promptTokens, candidateCount));
  return { ...defaults, maxOutputTokens };
};
