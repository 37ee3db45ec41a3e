import type { ConversationOption } from "../../domain/conversation-options.ts";
import type { ConversationRequest } from "../Engine.ts";

/**
 * The options whose values the API would refuse together with extended thinking.
 * https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking
 */
export const excludedByThinking = ({
  parameters: { temperature, topP, topK },
  reasoning: { maxTokens = 0 },
}: Pick<ConversationRequest, "parameters" | "reasoning">): ReadonlySet<ConversationOption> => {
  const excluded: ConversationOption[] = [];
  if (maxTokens === 0) return new Set();
  if (temperature !== 1) excluded.push("sampling.temperature");
  if (topP !== 1) excluded.push("sampling.top_p");
  if (topK !== undefined) excluded.push("sampling.top_k");
  return new Set(excluded);
};
