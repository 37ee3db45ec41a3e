/** How the output of a task is to be read, and how long its reasoning may be. */
import type { ChatInput, GenerationTask } from "../domain/generation.ts";
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

/** @param prompt the rendered conversation; undefined for inputs that are none */
export const outputReading = (task: GenerationTask, tools: PromptTools, prompt: string | undefined): OutputReading => {
  const { input, output } = task;
  if (output.verbatim) return { ...plainReading, verbatim: true };
  if (input.type !== "chat" || prompt === undefined) return plainReading;
  const { outputFormat } = tools;
  // What a constraint lets through is the answer to the last character: a tag in a JSON string is no role marker.
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

/** Of the model's stop sequences those that the operator has set, for the model or for its family. */
export const configuredStops = ({ facts, profile }: PromptTools): ReadonlyArray<string> => {
  const { stopSequences } = builtInProfile(facts.family);
  if (profile.stopSequences !== stopSequences) return facts.defaults.stopSequences;
  return facts.defaults.stopSequences.filter((stop) => !stopSequences.includes(stop));
};

const builtInProfile = (family: string) => familyProfile(families.find((known) => known === family) ?? "unknown");

const isConfigured = ({ facts, profile }: PromptTools): boolean =>
  profile.postprocess !== builtInProfile(facts.family).postprocess;

/**
 * Undefined where neither the task nor its constraint sets one.
 *
 * @param constrainedTokens output tokens at most of a task that has a constraint: reasoning leaves it half of them
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

/** The grammar, and where it begins to hold. */
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
  // A message that is continued has its reasoning behind it.
  if (input.continueFinalMessage && !isOpen) return free;
  const begins = isOpen ? "open" : tags === undefined ? "always" : "optional";
  return { ...free, reasoning: { begins, ...marksFor(input, reasoningMarks) } };
};

/** Whether a tool has to be called. */
const choosesTool = ({ toolChoice }: ChatInput): boolean =>
  toolChoice.mode === "required" || toolChoice.mode === "function";

const marksFor = (chat: ChatInput, { callTokenIds, answerTokenIds, ...marks }: ReasoningMarks) => ({
  ...marks,
  answerTokenIds: choosesTool(chat) ? callTokenIds : answerTokenIds,
});

/** Many templates open the reasoning themselves; a message to go on with may stop in the middle of it. */
const endsInReasoning = (chat: ChatInput, prompt: string, { open, close }: ReasoningTags): boolean => {
  if (!chat.continueFinalMessage) return prompt.trimEnd().endsWith(open);
  const last = (chat.messages.at(-1)?.content ?? []).map((part) => (part.type === "text" ? part.text : "")).join("");
  return last.lastIndexOf(open) > last.lastIndexOf(close);
};
