/** Options of a task that an engine which takes conversations may or may not support. */
import type { ContentPart } from "./conversation.ts";
import type { EffectiveParameters, GenerationInput, GenerationTask } from "./generation-task.ts";

type ImagePart = Extract<ContentPart, { readonly type: "image" }>;

export const imagesOf = (input: GenerationInput): ReadonlyArray<ImagePart> =>
  input.type === "chat"
    ? input.messages.flatMap(({ content }) => content.filter((part): part is ImagePart => part.type === "image"))
    : [];

const isJson = (constraint: GenerationTask["constraint"]): boolean =>
  constraint?.type === "json-object" || constraint?.type === "json-schema";

/**
 * By their paths in the task; the test tells whether a task uses the option. Options that are not listed are supported
 * by every engine.
 */
const options = {
  prompt: ({ input }) => input.type === "prompt",
  tokens: ({ input }) => input.type === "tokens",
  "chat.images": ({ input }) => imagesOf(input).length > 0,
  /** Of the web: the engine's server fetches them. */
  "chat.image_urls": ({ input }) => imagesOf(input).some(({ source }) => "url" in source),
  "chat.tools": ({ input }) => input.type === "chat" && input.tools.length > 0,
  "chat.tool_choice": ({ input }) => input.type === "chat" && input.toolChoice.mode !== "auto",
  "chat.template_options": ({ input }) => input.type === "chat" && Object.keys(input.templateOptions).length > 0,
  "chat.continue_final_message": ({ input }) => input.type === "chat" && input.continueFinalMessage,
  adapter: ({ adapter }) => adapter !== undefined,
  "reasoning.max_tokens": ({ reasoning }) => reasoning.maxTokens !== undefined,
  "reasoning.effort": ({ reasoning }) => reasoning.effort !== undefined,
  "sampling.temperature": ({ sampling }) => sampling.temperature !== undefined,
  "sampling.top_p": ({ sampling }) => sampling.topP !== undefined,
  "sampling.top_k": ({ sampling }) => sampling.topK !== undefined,
  "sampling.min_p": ({ sampling }) => sampling.minP !== undefined,
  "sampling.repetition_penalty": ({ sampling }) => sampling.repetitionPenalty !== undefined,
  "sampling.presence_penalty": ({ sampling }) => sampling.presencePenalty !== undefined,
  "sampling.frequency_penalty": ({ sampling }) => sampling.frequencyPenalty !== undefined,
  "sampling.seed": ({ sampling }) => sampling.seed !== undefined,
  "sampling.logit_bias": ({ sampling }) => sampling.logitBias !== undefined,
  "sampling.candidate_count": ({ sampling }) => (sampling.candidateCount ?? 1) > 1,
  "stop.max_output_tokens": ({ stop }) => stop.maxOutputTokens !== undefined,
  "stop.min_output_tokens": ({ stop }) => stop.minOutputTokens !== undefined,
  "stop.stop_sequences": ({ stop }) => stop.stopSequences.length > 0,
  "stop.stop_token_ids": ({ stop }) => stop.stopTokenIds.length > 0,
  "stop.ignore_eos": ({ stop }) => stop.ignoreEos,
  "stop.include_stop_in_output": ({ stop }) => stop.includeStopInOutput,
  "stop.replace_model_stops": ({ stop }) => stop.replacesModelStops === true,
  "stop.time_budget": ({ stop }) => stop.timeBudgetMs !== undefined,
  "output.token_ids": ({ output }) => output.tokenIds,
  "output.verbatim": ({ output }) => output.verbatim,
  "output.top_logprobs": ({ output }) => output.topLogprobs !== undefined,
  "output.prompt_logprobs": ({ output }) => output.promptLogprobs,
  "output.echo_prompt": ({ output }) => output.echoPrompt,
  /** JSON that is checked when it is there (pipeline/converse-in-json.ts): no constraint of the engine's own. */
  "constraint.json": ({ constraint }) => isJson(constraint),
  constraint: ({ constraint }) => constraint !== undefined && !isJson(constraint),
  "cache.mode": ({ cache }) => cache.mode !== "read-write",
  "cache.stable_prefix_tokens": ({ cache }) => cache.stablePrefixTokens !== undefined,
} as const satisfies Readonly<Record<string, (task: GenerationTask) => boolean>>;

export type ConversationOption = keyof typeof options;

/** The field of the request that asks for it. */
export const fieldOf = (option: ConversationOption): string => `task.${fields.get(option) ?? option}`;

const fields: ReadonlyMap<ConversationOption, string> = new Map([
  ["constraint.json", "constraint"],
  ["chat.images", "chat.messages"],
  ["chat.image_urls", "chat.messages"],
]);

/** All options that the task uses. */
export const optionsUsed = (task: GenerationTask): ReadonlySet<ConversationOption> =>
  new Set((Object.keys(options) as ReadonlyArray<ConversationOption>).filter((name) => options[name](task)));

/** The first option that the task uses and the engine does not support. */
export const unheededOption = (
  task: GenerationTask,
  heeded: ReadonlySet<ConversationOption>,
): ConversationOption | undefined =>
  (Object.keys(options) as ReadonlyArray<ConversationOption>).find((name) => !heeded.has(name) && options[name](task));

/** The parameters that apply on an engine: defaults of unsupported options are left out. */
export const heededParameters = (
  parameters: EffectiveParameters,
  heeded: ReadonlySet<ConversationOption>,
): EffectiveParameters => ({
  ...parameters,
  ...(!heeded.has("sampling.temperature") && { temperature: 1 }),
  ...(!heeded.has("sampling.top_p") && { topP: 1 }),
  ...(!heeded.has("sampling.top_k") && { topK: undefined }),
  ...(!heeded.has("sampling.min_p") && { minP: 0 }),
  ...(!heeded.has("sampling.repetition_penalty") && { repetitionPenalty: 1 }),
  ...(!heeded.has("sampling.presence_penalty") && { presencePenalty: 0 }),
  ...(!heeded.has("sampling.frequency_penalty") && { frequencyPenalty: 0 }),
  ...(!heeded.has("sampling.seed") && { seed: 0 }),
  ...(!heeded.has("stop.stop_sequences") && { stopSequences: [] }),
});
