/** What a task takes of its tenant's tokens. */
import { Effect, type Scope } from "effect";

import type { Allowance } from "../access/Allowance.ts";
import type { TaskTokens } from "../access/Quotas.ts";
import type { QuotaExceeded } from "../domain/errors.ts";
import type { GenerationTask, SamplingParams } from "../domain/generation-task.ts";
import type { ModelDefaults } from "../domain/model.ts";
import type { Usage } from "../domain/usage.ts";

/** What a task takes at least whose prompt is at least so long. */
export const tokensOfPrompt = (prompt: number, output = 1, answers = 1): TaskTokens => ({
  longestPrompt: prompt,
  prompt,
  output,
  answers,
  precision: "at least",
});

/** What a task takes at least, as far as that is known before its prompt is tokenised. */
export const leastTokens = ({ input, stop, sampling }: GenerationTask): TaskTokens =>
  tokensOfPrompt(input.type === "tokens" ? input.ids.length : 1, stop.maxOutputTokens, sampling.candidateCount);

/** Takes what the task may use at most. What it has not used is given back when the scope closes. */
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

/** A model's defaults, with no more output than the tenant may ask for: a task that does not say is not refused for it. */
export const allowedDefaults = (
  defaults: ModelDefaults,
  allowance: Allowance,
  promptTokens: number,
  { candidateCount = 1 }: SamplingParams,
): ModelDefaults => {
  const maxOutputTokens = Math.min(defaults.maxOutputTokens, allowance.defaultOutput(promptTokens, candidateCount));
  return { ...defaults, maxOutputTokens };
};
