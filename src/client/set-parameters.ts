import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  checkEnum,
  checkFlag,
  checkJson,
  checkKeys,
  checkList,
  checkMs,
  checkNumber,
  checkObject,
  checkText,
  checkTexts,
  checkTokenIds,
  checkWhole,
  show,
} from "./check.ts";
import { durationFromMs } from "./durations.ts";
import { invalidField, noSuchOption } from "./errors.ts";
import {
  CachePolicy_Mode,
  CachePolicySchema,
  ContextPolicy,
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
import type { GenerationParameters } from "./parameters.ts";

/**
 * Writes parameters into a task; undefined ones leave it unchanged. Values that the API cannot represent are refused here, by
 * the name of the option; the service checks the ranges of numbers.
 */
export const setParameters = (task: GenerationTask, parameters: GenerationParameters, place = ""): void => {
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    const path = place === "" ? name : `${place}.${name}`;
    if (!Object.hasOwn(setters, name)) throw noSuchOption(path);
    setters[name as keyof GenerationParameters](task, value, path); // checked above
  }
};

type Setter = (task: GenerationTask, value: unknown, name: string) => void;
type Setters = { readonly [Name in keyof GenerationParameters]-?: Setter };

const sampling = (task: GenerationTask) => (task.sampling ??= create(SamplingParamsSchema));
const stop = (task: GenerationTask) => (task.stop ??= create(StopCriteriaSchema));
const output = (task: GenerationTask) => (task.output ??= create(OutputOptionsSchema));
const scheduling = (task: GenerationTask) => (task.scheduling ??= create(SchedulingHintsSchema));
const duration = (value: unknown, name: string) => durationFromMs(checkMs(value, name));

const setters: Setters = {
  model: (task, value, name) => void (task.model = checkText(value, name)),
  alternatives: (task, value, name) => void (task.alternatives = checkTexts(value, name)),
  contextPolicy: (task, value, name) => void (task.contextPolicy = checkEnum(ContextPolicy, value, name)),
  modelRevision: (task, value, name) => void (task.modelRevision = checkText(value, name)),
  adapter: (task, value, name) => void (task.adapter = checkText(value, name)),

  temperature: (task, value, name) => void (sampling(task).temperature = checkNumber(value, name)),
  topP: (task, value, name) => void (sampling(task).topP = checkNumber(value, name)),
  topK: (task, value, name) => void (sampling(task).topK = checkWhole(value, name)),
  minP: (task, value, name) => void (sampling(task).minP = checkNumber(value, name)),
  repetitionPenalty: (task, value, name) => void (sampling(task).repetitionPenalty = checkNumber(value, name)),
  presencePenalty: (task, value, name) => void (sampling(task).presencePenalty = checkNumber(value, name)),
  frequencyPenalty: (task, value, name) => void (sampling(task).frequencyPenalty = checkNumber(value, name)),
  seed: (task, value, name) => void (sampling(task).seed = checkWhole(value, name)),
  logitBias: (task, value, name) =>
    void (sampling(task).logitBias = checkList(value, name).map((bias, index) =>
      biasToWire(bias, `${name}[${index}]`),
    )),
  candidateCount: (task, value, name) => void (sampling(task).candidateCount = checkWhole(value, name)),

  maxOutputTokens: (task, value, name) => void (stop(task).maxOutputTokens = checkWhole(value, name)),
  minOutputTokens: (task, value, name) => void (stop(task).minOutputTokens = checkWhole(value, name)),
  stopSequences: (task, value, name) => void (stop(task).stopSequences = checkTexts(value, name)),
  replaceModelStops: (task, value, name) => void (stop(task).replaceModelStops = checkFlag(value, name)),
  stopTokenIds: (task, value, name) => void (stop(task).stopTokenIds = checkTokenIds(value, name)),
  ignoreEos: (task, value, name) => void (stop(task).ignoreEos = checkFlag(value, name)),
  includeStopInOutput: (task, value, name) => void (stop(task).includeStopInOutput = checkFlag(value, name)),
  timeBudgetMs: (task, value, name) => void (stop(task).timeBudget = duration(value, name)),

  reasoning: (task, value, name) =>
    void (task.reasoning = create(ReasoningOptionsSchema, reasoningToWire(value, name))),

  tokenIds: (task, value, name) => void (output(task).tokenIds = checkFlag(value, name)),
  topLogprobs: (task, value, name) => void (output(task).topLogprobs = checkWhole(value, name)),
  promptLogprobs: (task, value, name) => void (output(task).promptLogprobs = checkFlag(value, name)),
  echoPrompt: (task, value, name) => void (output(task).echoPrompt = checkFlag(value, name)),
  flushTokens: (task, value, name) => void (output(task).flushTokens = checkWhole(value, name)),
  flushIntervalMs: (task, value, name) => void (output(task).flushInterval = duration(value, name)),
  timings: (task, value, name) => void (output(task).timings = checkFlag(value, name)),
  verbatim: (task, value, name) => void (output(task).verbatim = checkFlag(value, name)),

  constraint: (task, value, name) =>
    void (task.constraint = create(OutputConstraintSchema, { kind: constraintToWire(value, name) })),

  priority: (task, value, name) => void (scheduling(task).priority = checkPriority(value, name)),
  fairnessId: (task, value, name) => void (scheduling(task).fairnessId = checkText(value, name)),
  maxQueueWaitMs: (task, value, name) => void (scheduling(task).maxQueueWait = duration(value, name)),

  cache: (task, value, name) => void (task.cache = create(CachePolicySchema, cacheToWire(value, name))),
  labels: (task, value, name) => void (task.labels = checkLabels(value, name)),
};

/** The API has 32 bits for it, the service accepts -1000 to 1000. */
export const checkPriority = (value: unknown, name: string): number => checkWhole(value, name, -(2 ** 31), 2 ** 31 - 1);

const biasToWire = (value: unknown, name: string) => {
  const bias = checkObject(value, name);
  checkKeys(bias, name, ["tokenId", "bias"], "member");
  const tokenId = checkWhole(bias["tokenId"], `${name}.tokenId`);
  return create(LogitBiasSchema, { tokenId, bias: checkNumber(bias["bias"], `${name}.bias`) });
};

const checkLabels = (value: unknown, name: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(checkObject(value, name)).map(([label, text]) => [
      checkText(label, name),
      checkText(text, `${name}.${label}`),
    ]),
  );

const reasoningToWire = (value: unknown, name: string): MessageInitShape<typeof ReasoningOptionsSchema> => {
  const reasoning = checkObject(value, name);
  checkKeys(reasoning, name, ["maxTokens", "effort"], "option");
  const { maxTokens, effort } = reasoning;
  return {
    ...(maxTokens !== undefined && { maxTokens: checkWhole(maxTokens, `${name}.maxTokens`) }),
    ...(effort !== undefined && { effort: checkEnum(ReasoningOptions_Effort, effort, `${name}.effort`) }),
  };
};

type ConstraintKind = NonNullable<MessageInitShape<typeof OutputConstraintSchema>["kind"]>;

const constraintKinds: { readonly [kind: string]: (value: unknown, name: string) => ConstraintKind } = {
  jsonObject: (value, name) => {
    if (value === true) return { case: "jsonObject", value: {} };
    throw invalidField(name, "it can only be true; for no constraint, leave it out");
  },
  jsonSchema: (value, name) => ({ case: "jsonSchema", value: schemaText(value, name) }),
  regex: (value, name) => ({ case: "regex", value: checkText(value, name) }),
  grammar: (value, name) => ({ case: "grammar", value: checkText(value, name) }),
  choices: (value, name) => ({ case: "choice", value: { choices: checkTexts(value, name) } }),
};

const constraintToWire = (value: unknown, name: string): ConstraintKind => {
  const constraint = checkObject(value, name);
  const kinds = Object.keys(constraintKinds);
  const unknown = Object.keys(constraint).find((kind) => constraint[kind] !== undefined && !kinds.includes(kind));
  if (unknown !== undefined) throw invalidField(name, `there is no ${show(unknown)}; there are ${kinds.join(", ")}`);
  const given = kinds.filter((kind) => constraint[kind] !== undefined);
  const [kind] = given;
  if (kind === undefined) throw invalidField(name, `it is empty; there are ${kinds.join(", ")}`);
  if (given.length > 1) throw invalidField(name, `${given.join(" and ")} are set; an output has one constraint`);
  const toWire = constraintKinds[kind] as (typeof constraintKinds)[string]; // checked above
  return toWire(constraint[kind], `${name}.${kind}`);
};

const schemaText = (value: unknown, name: string): string =>
  typeof value === "string" ? checkText(value, name) : JSON.stringify(checkJson(checkObject(value, name), name));

const cacheToWire = (value: unknown, name: string): MessageInitShape<typeof CachePolicySchema> => {
  const cache = checkObject(value, name);
  checkKeys(cache, name, ["mode", "partition", "stablePrefixTokens"], "option");
  const { mode, partition, stablePrefixTokens: stable } = cache;
  return {
    ...(mode !== undefined && { mode: checkEnum(CachePolicy_Mode, mode, `${name}.mode`) }),
    ...(partition !== undefined && { partition: checkText(partition, `${name}.partition`) }),
    ...(stable !== undefined && { stablePrefixTokens: checkWhole(stable, `${name}.stablePrefixTokens`) }),
  };
};
