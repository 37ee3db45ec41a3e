/** Turns a task into the token ids of its prompt. */
import { Effect } from "effect";

import type { Allowance } from "../access/Allowance.ts";
import {
  type AdapterBroken,
  type AdapterNotFound,
  ContextLengthExceeded,
  InvalidField,
  ModelBroken,
  ModelRevisionMismatch,
  type QuotaExceeded,
  UnsupportedParameter,
  UnsupportedTask,
} from "../domain/errors.ts";
import { imagesOf } from "../domain/conversation-options.ts";
import type { ChatInput } from "../domain/conversation.ts";
import type { GenerationTask, LogitBias, OutputOptions } from "../domain/generation-task.ts";
import type { Grammar } from "../domain/grammar.ts";
import type { AdapterFacts, ModelFacts } from "../domain/model.ts";
import { numbersOf } from "../domain/numbers-of.ts";
import type { PromptTools } from "../models/prompting/PromptTools.ts";
import type { TextFailure } from "../models/prompting/texts.ts";
import { taskGrammar } from "./task-grammar.ts";
import { marksReasoning, type OutputFormat } from "../output/output-format.ts";
import { toolProblems } from "../output/tool-schema/tool-problems.ts";
import { decodeTokens } from "../prompt/detokenizer.ts";
import type { Encoded, TooLong } from "../prompt/encode-within.ts";
import { reservedOptions } from "../prompt/reserved-options.ts";
import type { TemplateShape } from "../prompt/template-shape.ts";
import type { Rendered } from "../sandbox/lane/text.ts";
import { findAdapter } from "./find-adapter.ts";
import { tokensOfPrompt } from "./take-tokens.ts";

export type PromptFailure =
  | AdapterBroken
  | AdapterNotFound
  | ContextLengthExceeded
  | InvalidField
  | ModelRevisionMismatch
  | QuotaExceeded
  | TextFailure
  | UnsupportedParameter
  | UnsupportedTask;

export interface PreparedPrompt {
  readonly tokenIds: ReadonlyArray<number>;
  /** The rendered conversation; undefined if the input is no conversation. */
  readonly conversation: string | undefined;
  /** The prompt's text if the output is to start with it (`echo_prompt`); otherwise empty. */
  readonly echo: string;
  readonly adapter: AdapterFacts | undefined;
  /** The grammar of the output; undefined if it is not constrained. */
  readonly grammar: Grammar | undefined;
}

/**
 * Checks first whether the model supports the task, so that nothing is computed for one that cannot run.
 *
 * @param allowance of the tenant whose tokens the prompt spends: a text far beyond it is not tokenised to its end
 */
export const preparePrompt = Effect.fn("preparePrompt")(function* (
  task: GenerationTask,
  tools: PromptTools,
  allowance?: Allowance,
): Effect.fn.Return<PreparedPrompt, PromptFailure> {
  yield* checkTask(task, tools);
  const adapter = yield* findAdapter(task, tools);
  const grammar = yield* taskGrammar(task, tools);
  const { tokenIds, text, conversation } = yield* tokensAndText(task, tools, allowance);
  const violations = [
    ...emptyPromptViolations(task.input.type, tokenIds),
    ...strangeTokenViolations(task.input.type, tokenIds, tools.facts),
    ...promptLogprobViolations(task.output, tokenIds.length),
  ];
  if (violations.length > 0) return yield* new InvalidField({ violations });
  return { tokenIds, conversation, adapter, grammar, echo: task.output.echoPrompt ? text() : "" };
});

const tokensAndText = Effect.fnUntraced(function* (
  { input, reasoning }: GenerationTask,
  { texts, vocabulary, facts }: PromptTools,
  allowance: Allowance | undefined,
) {
  const limit = Math.min(facts.contextLength, allowance?.longestPrompt ?? Infinity);
  switch (input.type) {
    case "tokens": {
      const promptTokens = input.ids.length;
      // Checked before anything that looks at each token.
      if (promptTokens > facts.contextLength) return yield* contextExceeded(promptTokens, facts, false);
      const text = () => decodeTokens(vocabulary, input.ids, { skipSpecialTokens: false });
      return { tokenIds: input.ids, text, conversation: undefined };
    }
    case "prompt": {
      const options = { field: "task.prompt", addSpecialTokens: true, truncate: false, limit };
      const [tokens] = yield* texts.encode([input.text], options);
      return { tokenIds: yield* tokenIdsOf(tokens, facts, allowance), text: () => input.text, conversation: undefined };
    }
    case "chat": {
      const rendered = yield* texts.render(withEffort(input, reasoning), { limit });
      if ("refused" in rendered) return yield* refusedByTemplate(rendered, input, facts);
      const conversation = rendered.text;
      const tokenIds = yield* tokenIdsOf(rendered.tokens, facts, allowance);
      return { tokenIds, text: () => conversation, conversation };
    }
  }
});

const withEffort = (chat: ChatInput, { effort }: GenerationTask["reasoning"]): ChatInput =>
  effort === undefined ? chat : { ...chat, templateOptions: { ...chat.templateOptions, reasoning_effort: effort } };

const checkTask = (task: GenerationTask, tools: PromptTools): Effect.Effect<void, PromptFailure> => {
  const { facts } = tools;
  const { input, sampling, stop } = task;
  const asked = task.modelRevision;
  if (asked !== undefined && asked !== facts.revision) {
    return Effect.fail(new ModelRevisionMismatch({ model: facts.id, asked, loaded: facts.revision }));
  }
  if (input.type === "chat") {
    if (imagesOf(input).length > 0) return Effect.fail(new UnsupportedTask({ task: "vision", model: facts.id }));
    if (!facts.capabilities.chat) return Effect.fail(new UnsupportedTask({ task: "chat", model: facts.id }));
    if (input.tools.length > 0 && !facts.capabilities.tools) {
      const hint = "its chat template has no place for tools";
      return Effect.fail(new UnsupportedParameter({ field: "task.chat.tools", model: facts.id, hint }));
    }
    const { strangeCalls } = tools.outputFormat;
    if (input.tools.length > 0 && strangeCalls !== undefined) {
      const hint = `it writes calls in a notation that is not read here (${strangeCalls})`;
      return Effect.fail(new UnsupportedParameter({ field: "task.chat.tools", model: facts.id, hint }));
    }
  }
  const option = unusedOption(task, tools);
  if (option !== undefined) return Effect.fail(new UnsupportedParameter({ model: facts.id, ...option }));
  const violations = [
    ...(input.type === "chat" ? [...toolViolations(input), ...reservedViolations(input)] : []),
    ...tokenViolations("task.stop.stop_token_ids", stop.stopTokenIds, facts),
    // Token ids that are too long are refused for their number, before they are looked at.
    ...(input.type === "tokens" && input.ids.length <= facts.contextLength
      ? tokenViolations("task.tokens.ids", input.ids, facts)
      : []),
    ...biasViolations(sampling.logitBias ?? [], facts),
    ...outputLimitViolations(stop),
  ];
  return violations.length > 0 ? Effect.fail(new InvalidField({ violations })) : Effect.void;
};

/** The first reasoning or template option that the model's chat template does not use. */
const unusedOption = ({ input, reasoning }: GenerationTask, { template, outputFormat }: PromptTools) => {
  const isChat = input.type === "chat";
  if (reasoning.maxTokens !== undefined && !(isChat && marksReasoning(outputFormat))) {
    const hint = isChat ? "its chat template marks no reasoning" : "only in a conversation is reasoning marked";
    return { field: "task.reasoning.max_tokens", hint };
  }
  if (reasoning.effort !== undefined && !(isChat && template.options.includes("reasoning_effort"))) {
    const hint = isChat ? "its chat template has no reasoning_effort" : "it is for the chat template to tell";
    return { field: "task.reasoning.effort", hint };
  }
  if (!isChat) return undefined;
  // Reserved names are refused as such: see reservedViolations.
  const name = Object.keys(input.templateOptions).find(
    (each) => !template.options.includes(each) && !reservedOptions.has(each),
  );
  if (name === undefined) return unusedPart(input, template, outputFormat);
  return { field: `task.chat.template_options.${shorten(name)}`, hint: "its chat template does not use it" };
};

/** The first part of a message that the chat template would silently drop. */
const unusedPart = ({ messages }: ChatInput, { writes }: TemplateShape, format: OutputFormat) => {
  for (const [index, { role, name, reasoning, toolCalls }] of messages.entries()) {
    const at = `task.chat.messages[${index}]`;
    if (toolCalls.length > 0 && !writes.calls) {
      return { field: `${at}.tool_calls`, hint: "its chat template does not write the calls of earlier messages" };
    }
    if (role === "tool" && !writes.results) {
      return { field: `${at}.role`, hint: "its chat template does not write the results of tools" };
    }
    // The id of its call identifies the tool as well.
    if (name !== "" && role !== "tool" && !writes.names) {
      return { field: `${at}.name`, hint: "its chat template does not write the names of speakers" };
    }
    // Reasoning may be sent back to any model, even if its template leaves it out.
    if (reasoning !== "" && !writes.reasoning && !marksReasoning(format)) {
      return { field: `${at}.reasoning`, hint: "its chat template does not write earlier reasoning" };
    }
  }
  return undefined;
};

const shorten = (name: string): string => name.slice(0, 64);

const reservedViolations = ({ templateOptions }: ChatInput) =>
  Object.keys(templateOptions)
    .filter((name) => reservedOptions.has(name))
    .map((name) => ({
      field: `task.chat.template_options.${name}`,
      description: "this variable is not the caller's to set: the service sets it",
    }));

/** Why the tools of a conversation cannot be offered. */
export const toolViolations = ({ tools }: ChatInput) =>
  toolProblems(tools).map(({ field, description }) => ({ field: `task.chat.tools${field}`, description }));

const tokenViolations = (field: string, ids: ReadonlyArray<number>, { vocabularySize, id: model }: ModelFacts) => {
  const index = ids.findIndex((id) => id >= vocabularySize);
  if (index < 0) return [];
  const description = `${ids[index]} is no token of model "${model}", whose vocabulary has ${vocabularySize}`;
  return [{ field: `${field}[${index}]`, description }];
};

/** Refuses an empty prompt: some templates render nothing, and some tokenizers drop a whole text. */
const emptyPromptViolations = (type: GenerationTask["input"]["type"], tokenIds: ReadonlyArray<number>) => {
  if (tokenIds.length > 0) return [];
  const description =
    type === "chat"
      ? "the model's chat template makes an empty prompt of this conversation"
      : "it has no tokens, and a model needs one to go on from";
  return [{ field: type === "chat" ? "task.chat.messages" : `task.${type}`, description }];
};

/** Refuses ids without an embedding. Some tokenizers have them, and the model would read past the end of its table. */
const strangeTokenViolations = (
  type: GenerationTask["input"]["type"],
  tokenIds: ReadonlyArray<number>,
  { vocabularySize, id: model }: ModelFacts,
) => {
  if (type === "tokens") return []; // refused with its place before
  const strange = tokenIds.find((id) => id >= vocabularySize);
  if (strange === undefined) return [];
  const description = `holds token ${strange}, which model "${model}" has no embedding of: its vocabulary has ${vocabularySize}`;
  return [{ field: `task.${type}`, description }];
};

const biasViolations = (logitBias: ReadonlyArray<LogitBias>, facts: ModelFacts) =>
  tokenViolations(
    "task.sampling.logit_bias",
    logitBias.map(({ tokenId }) => tokenId),
    facts,
  ).map(({ field, description }) => ({ field: `${field}.token_id`, description }));

/** They are sent in one message, the first one. */
const maxPromptLogprobs = 65_536;

const promptLogprobViolations = ({ promptLogprobs, topLogprobs = 0 }: OutputOptions, promptTokens: number) => {
  const count = promptTokens * (1 + topLogprobs);
  if (!promptLogprobs || count <= maxPromptLogprobs) return [];
  const description =
    `${promptTokens} prompt tokens with ${topLogprobs} alternatives each make ${count} logprobs; ` +
    `they must not be more than ${maxPromptLogprobs}`;
  return [{ field: "task.output.prompt_logprobs", description }];
};

const outputLimitViolations = ({ minOutputTokens = 0, maxOutputTokens }: GenerationTask["stop"]) => {
  if (maxOutputTokens === undefined || minOutputTokens <= maxOutputTokens) return [];
  const description = `${minOutputTokens} is more than max_output_tokens, which is ${maxOutputTokens}`;
  return [{ field: "task.stop.min_output_tokens", description }];
};

const refusedByTemplate = (
  { refused, by }: Extract<Rendered, { readonly refused: string }>,
  { templateOptions }: ChatInput,
  { id: model }: ModelFacts,
): InvalidField | ModelBroken => {
  if (by === "fault") return new ModelBroken({ model, cause: refused });
  if (by === "template") {
    const description = `the model's chat template refuses the conversation: ${refused}`;
    return new InvalidField({ violations: [{ field: "task.chat.messages", description }] });
  }
  const field = Object.keys(templateOptions).length > 0 ? "task.chat.template_options" : "task.reasoning.effort";
  const description = `with this the model's chat template does not work: ${refused}`;
  return new InvalidField({ violations: [{ field, description }] });
};

const tokenIdsOf = (
  tokens: Encoded | TooLong | undefined,
  facts: ModelFacts,
  allowance: Allowance | undefined,
): Effect.Effect<ReadonlyArray<number>, ContextLengthExceeded | QuotaExceeded> => {
  if (tokens === undefined) return Effect.succeed([]);
  if ("tokenIds" in tokens) return Effect.succeed(numbersOf(tokens.tokenIds));
  const { atLeast } = tokens;
  const tooLong = contextExceeded(atLeast, facts, true);
  if (allowance === undefined || atLeast > facts.contextLength) return tooLong;
  return Effect.andThen(Effect.fromResult(allowance.check(tokensOfPrompt(atLeast))), tooLong);
};

const contextExceeded = (promptTokens: number, { contextLength }: ModelFacts, estimated: boolean) =>
  Effect.fail(new ContextLengthExceeded({ promptTokens, maxOutputTokens: 1, contextLength, estimated }));
