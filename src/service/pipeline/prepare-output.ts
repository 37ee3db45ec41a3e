/** Decides how a task's output is read, and how long its reasoning may be. */
import type { ChatInput } from "../domain/conversation.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import type { Grammar } from "../domain/grammar.ts";
import type { EngineRequest } from "../engine/Engine.ts";
import { families } from "../domain/family.ts";
import { familyProfile } from "../models/catalog/families.ts";
import type { PromptTools } from "../models/prompting/PromptTools.ts";
import { marksReasoning } from "../output/output-format.ts";
import { type OutputReading, plainReading } from "../output/parser.ts";
import type { ReasoningTags } from "../output/reasoning.ts";
import type { ReasoningMarks } from "../output/reasoning-marks.ts";
import { createToolSet } from "../output/tool-set.ts";

/** @param prompt the rendered conversation; undefined if the input is no conversation */
export const outputReading = (task: GenerationTask, tools: PromptTools, prompt: string | undefined): OutputReading => {
  const { input, output } = task;
  if (output.verbatim) return { ...plainReading, verbatim: true };
  if (input.type !== "chat" || prompt === undefined) return plainReading;
  const { outputFormat } = tools;
  // Constrained output is the answer, character by character: a tag in a JSON string is no role marker.
  const format = task.constraint === undefined ? outputFormat : { ...outputFormat, cleanUp: [] };
  const offers = input.tools.length > 0 && input.toolChoice.mode !== "none";
  return {
    format,
    tools: offers ? createToolSet(input.tools) : undefined,
    continues: input.continueFinalMessage,
    spelled: choosesTool(input),
    stripsHtml: isConfigured(tools),
    startsInReasoning: format.reasoningTags !== undefined && endsInReasoning(input, prompt, format.reasoningTags),
  };
};

/** The stop sequences that the configuration sets for the model or its family. */
export const configuredStops = ({ facts, profile }: PromptTools): ReadonlyArray<string> => {
  const { stopSequences } = builtInProfile(facts.family);
  if (profile.stopSequences !== stopSequences) return facts.defaults.stopSequences;
  return facts.defaults.stopSequences.filter((stop) => !stopSequences.includes(stop));
};

const builtInProfile = (family: string) => familyProfile(families.find((known) => known === family) ?? "unknown");

const isConfigured = ({ facts, profile }: PromptTools): boolean =>
  profile.postprocess !== builtInProfile(facts.family).postprocess;

/**
 * Undefined if neither the task nor its constraint limits the reasoning.
 *
 * @param constrainedTokens output limit of a constrained task; reasoning may use half of it
 */
export const reasoningLimit = (
  { input, reasoning }: GenerationTask,
  { reasoningMarks, outputFormat }: PromptTools,
  prompt: string | undefined,
  constrainedTokens?: number,
): EngineRequest["reasoningLimit"] => {
  const half = constrainedTokens === undefined ? undefined : Math.floor(constrainedTokens / 2);
  const maxTokens = half === undefined ? reasoning.maxTokens : Math.min(reasoning.maxTokens ?? half, half);
  if (maxTokens === undefined || input.type !== "chat" || prompt === undefined) return undefined;
  if (!marksReasoning(outputFormat)) return undefined;
  const { openTokenIds, ...rest } = marksFor(input, reasoningMarks);
  const { reasoningTags: tags } = outputFormat;
  const isOpen = tags !== undefined && endsInReasoning(input, prompt, tags);
  return { maxTokens, openTokenIds: isOpen ? [] : openTokenIds, ...rest };
};

/** The grammar, and from where on it applies. */
export const outputConstraint = (
  { input }: GenerationTask,
  { reasoningMarks, outputFormat }: PromptTools,
  prompt: string | undefined,
  grammar: Grammar,
): NonNullable<EngineRequest["constraint"]> => {
  const isCall = input.type === "chat" && choosesTool(input);
  const free = { grammar, markers: isCall, reasoning: undefined };
  if (input.type !== "chat" || prompt === undefined || !marksReasoning(outputFormat)) return free;
  const { reasoningTags: tags } = outputFormat;
  const isOpen = tags !== undefined && endsInReasoning(input, prompt, tags);
  // In a continued message the reasoning is over.
  if (input.continueFinalMessage && !isOpen) return free;
  const begins = isOpen ? "open" : tags === undefined ? "always" : "optional";
  return { ...free, reasoning: { begins, ...marksFor(input, reasoningMarks) } };
};

/** Whether the task requires a tool call. */
const choosesTool = ({ toolChoice }: ChatInput): boolean =>
  toolChoice.mode === "required" || toolChoice.mode === "function";

const marksFor = (chat: ChatInput, { callTokenIds, answerTokenIds, ...marks }: ReasoningMarks) => ({
  ...marks,
  answerTokenIds: choosesTool(chat) ? callTokenIds : answerTokenIds,
});

/** Whether the prompt ends inside of reasoning. Many templates open it, and a continued message may stop within it. */
const endsInReasoning = (chat: ChatInput, prompt: string, { open, close }: ReasoningTags): boolean => {
  if (!chat.continueFinalMessage) return prompt.trimEnd().endsWith(open);
  const last = (chat.messages.at(-1)?.content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
  return last.lastIndexOf(open) > last.lastIndexOf(close);
};
