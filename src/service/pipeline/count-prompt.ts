/** Counts the prompt of a task whose engine makes the prompt itself. */
import { Effect } from "effect";

import { imagesOf } from "../domain/conversation-options.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import { estimateTokens } from "../engine/estimate-tokens.ts";
import type { ConversationModel, Models } from "../models/Models.ts";

export interface PromptCount {
  readonly tokens: number;
  /** Whether it is an estimate: there is no tokenizer of the model here, or it cannot count this prompt. */
  readonly estimated: boolean;
}

/**
 * Exact if the model's `tokenizer` names a model in the model folder with the same tokenizer and chat template. Images,
 * and conversations that the template does not render, are estimated.
 */
export const countPrompt = (
  models: Models["Service"],
  { input }: Pick<GenerationTask, "input">,
  { facts, tokenizer }: Pick<ConversationModel, "facts" | "tokenizer">,
): Effect.Effect<PromptCount> => {
  const estimate = { tokens: estimateTokens(input), estimated: true };
  if (tokenizer === undefined || input.type === "tokens" || imagesOf(input).length > 0) return Effect.succeed(estimate);
  return Effect.gen(function* () {
    const model = yield* models.use(tokenizer);
    if (model.takes !== "tokens") return estimate;
    const limit = Math.max(facts.contextLength, estimate.tokens);
    if (input.type === "prompt") {
      const options = { field: "task.prompt", addSpecialTokens: true, truncate: false, limit };
      const [encoded] = yield* model.texts.encode([input.text], options);
      return encoded === undefined || "atLeast" in encoded ? estimate : exactly(encoded.tokenIds.length);
    }
    const rendered = yield* model.texts.render(input, { limit });
    return "refused" in rendered || "atLeast" in rendered.tokens ? estimate : exactly(rendered.tokens.tokenIds.length);
  }).pipe(Effect.orElseSucceed(() => estimate));
};

const exactly = (tokens: number): PromptCount => ({ tokens, estimated: false });
