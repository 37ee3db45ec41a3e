import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { enumValue } from "./enum-names.ts";
import { invalidField, noSuchOption } from "./errors.ts";
import {
  CachePolicy_Mode,
  CachePolicySchema,
  type GenerationTask,
  LogitBiasSchema,
  OutputConstraintSchema,
  OutputOptionsSchema,
  ReasoningOptions_Effort,
  ReasoningOptionsSchema,
  SamplingParamsSchema,
  SchedulingHintsSchema,
  StopCriteriaSchema,
} from "./gen/mlxd/v1/types_pb.ts";
import type { CacheOptions, Constraint, GenerationParameters, ReasoningOptions } from "./parameters.ts";

/** Writes parameters into a task; what is undefined leaves the task as it is. */
export const setParameters = (task: GenerationTask, parameters: GenerationParameters): void => {
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (!Object.hasOwn(setters, name)) throw noSuchOption(name);
    if (typeof value === "number" && !Number.isFinite(value)) throw invalidField(name, `${value} is no number to send`);
    (setters[name as keyof Setters] as Setter<unknown>)(task, value as object); // the value has that name's type
  }
};

type Setter<Value> = (task: GenerationTask, value: NonNullable<Value>) => void;
type Setters = { readonly [Name in keyof GenerationParameters]-?: Setter<GenerationParameters[Name]> };

const sampling = (task: GenerationTask) => (task.sampling ??= create(SamplingParamsSchema));
const stop = (task: GenerationTask) => (task.stop ??= create(StopCriteriaSchema));
const output = (task: GenerationTask) => (task.output ??= create(OutputOptionsSchema));
const scheduling = (task: GenerationTask) => (task.scheduling ??= create(SchedulingHintsSchema));

const setters: Setters = {
  model: (task, value) => void (task.model = value),
  modelRevision: (task, value) => void (task.modelRevision = value),
  adapter: (task, value) => void (task.adapter = value),

  temperature: (task, value) => void (sampling(task).temperature = value),
  topP: (task, value) => void (sampling(task).topP = value),
  topK: (task, value) => void (sampling(task).topK = value),
  minP: (task, value) => void (sampling(task).minP = value),
  repetitionPenalty: (task, value) => void (sampling(task).repetitionPenalty = value),
  presencePenalty: (task, value) => void (sampling(task).presencePenalty = value),
  frequencyPenalty: (task, value) => void (sampling(task).frequencyPenalty = value),
  seed: (task, value) => void (sampling(task).seed = value),
  logitBias: (task, value) => void (sampling(task).logitBias = value.map((bias) => create(LogitBiasSchema, bias))),
  candidateCount: (task, value) => void (sampling(task).candidateCount = value),

  maxOutputTokens: (task, value) => void (stop(task).maxOutputTokens = value),
  minOutputTokens: (task, value) => void (stop(task).minOutputTokens = value),
  stopSequences: (task, value) => void (stop(task).stopSequences = [...value]),
  stopTokenIds: (task, value) => void (stop(task).stopTokenIds = [...value]),
  ignoreEos: (task, value) => void (stop(task).ignoreEos = value),
  includeStopInOutput: (task, value) => void (stop(task).includeStopInOutput = value),
  timeBudgetMs: (task, value) => void (stop(task).timeBudget = durationFromMs(value)),

  reasoning: (task, value) => void (task.reasoning = create(ReasoningOptionsSchema, reasoningToWire(value))),

  tokenIds: (task, value) => void (output(task).tokenIds = value),
  topLogprobs: (task, value) => void (output(task).topLogprobs = value),
  promptLogprobs: (task, value) => void (output(task).promptLogprobs = value),
  echoPrompt: (task, value) => void (output(task).echoPrompt = value),
  flushTokens: (task, value) => void (output(task).flushTokens = value),
  flushIntervalMs: (task, value) => void (output(task).flushInterval = durationFromMs(value)),
  timings: (task, value) => void (output(task).timings = value),
  verbatim: (task, value) => void (output(task).verbatim = value),

  constraint: (task, value) =>
    void (task.constraint = create(OutputConstraintSchema, { kind: constraintToWire(value) })),

  priority: (task, value) => void (scheduling(task).priority = value),
  fairnessId: (task, value) => void (scheduling(task).fairnessId = value),
  maxQueueWaitMs: (task, value) => void (scheduling(task).maxQueueWait = durationFromMs(value)),

  cache: (task, value) => void (task.cache = create(CachePolicySchema, cacheToWire(value))),
  labels: (task, value) => void (task.labels = { ...value }),
};

const reasoningToWire = ({ maxTokens, effort }: ReasoningOptions) => {
  const effortValue = effort && enumValue(ReasoningOptions_Effort, effort);
  if (effort && effortValue === undefined) throw invalidField("reasoning.effort", `"${effort}" is no effort`);
  return {
    ...(maxTokens !== undefined && { maxTokens }),
    ...(effortValue !== undefined && { effort: effortValue }),
  };
};

type ConstraintKind = NonNullable<MessageInitShape<typeof OutputConstraintSchema>["kind"]>;

const constraintToWire = (constraint: Constraint): ConstraintKind => {
  if ("jsonObject" in constraint) return { case: "jsonObject", value: {} };
  if ("jsonSchema" in constraint) {
    const { jsonSchema } = constraint;
    return { case: "jsonSchema", value: typeof jsonSchema === "string" ? jsonSchema : JSON.stringify(jsonSchema) };
  }
  if ("regex" in constraint) return { case: "regex", value: constraint.regex };
  if ("grammar" in constraint) return { case: "grammar", value: constraint.grammar };
  if ("choices" in constraint) return { case: "choice", value: { choices: [...constraint.choices] } };
  throw invalidField("constraint", "there is no such constraint");
};

const cacheToWire = ({ mode, partition, stablePrefixTokens }: CacheOptions) => {
  const modeValue = mode && enumValue(CachePolicy_Mode, mode);
  if (mode && modeValue === undefined) throw invalidField("cache.mode", `"${mode}" is no mode`);
  return {
    ...(modeValue !== undefined && { mode: modeValue }),
    ...(partition !== undefined && { partition }),
    ...(stablePrefixTokens !== undefined && { stablePrefixTokens }),
  };
};
