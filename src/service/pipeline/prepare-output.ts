/** How the output of a task is to be read, and how long its reasoning may be. */
import type { ChatInput, GenerationTask } from "../domain/generation.ts";
import type { EngineRequest } from "../engine/Engine.ts";
import type { PromptTools } from "../models/Models.ts";
import { type OutputReading, plainReading } from "../output/parser.ts";
import type { ReasoningTags } from "../output/reasoning.ts";
import { createToolSet } from "../output/tool-set.ts";

/** @param prompt the rendered conversation; undefined for inputs that are none */
export const outputReading = (task: GenerationTask, tools: PromptTools, prompt: string | undefined): OutputReading => {
  const { input, output } = task;
  if (input.type !== "chat" || prompt === undefined || output.verbatim) return plainReading;
  const format = tools.outputFormat;
  const offers = input.tools.length > 0 && input.toolChoice.mode !== "none";
  return {
    format,
    tools: offers ? createToolSet(input.tools) : undefined,
    continues: input.continueFinalMessage,
    startsInReasoning: format.reasoningTags !== undefined && endsInReasoning(input, prompt, format.reasoningTags),
  };
};

/** Undefined where the task sets no limit. */
export const reasoningLimit = (
  { input, reasoning: { maxTokens } }: GenerationTask,
  { tokenizer, outputFormat: { reasoningTags } }: PromptTools,
  prompt: string | undefined,
): EngineRequest["reasoningLimit"] => {
  if (maxTokens === undefined || input.type !== "chat" || prompt === undefined) return undefined;
  const ids = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  if (reasoningTags === undefined) {
    return {
      maxTokens,
      openTokenIds: ids("<|channel|>analysis<|message|>"),
      closeTokenIds: ids("<|end|>"),
      answerTokenIds: ids("<|start|>assistant<|channel|>final<|message|>"),
    };
  }
  const { open, close } = reasoningTags;
  return {
    maxTokens,
    openTokenIds: endsInReasoning(input, prompt, reasoningTags) ? [] : ids(open),
    closeTokenIds: ids(close),
    answerTokenIds: ids("\n\n"),
  };
};

/** Many templates open the reasoning themselves; a message to go on with may stop in the middle of it. */
const endsInReasoning = (chat: ChatInput, prompt: string, { open, close }: ReasoningTags): boolean => {
  if (!chat.continueFinalMessage) return prompt.trimEnd().endsWith(open);
  const last = (chat.messages.at(-1)?.content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
  return last.lastIndexOf(open) > last.lastIndexOf(close);
};
