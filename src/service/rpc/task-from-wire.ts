import { Effect, Result } from "effect";

import * as wire from "../../client/gen/mlxd/v1/types_pb.ts";
import { type InvalidField, UnsupportedParameter } from "../domain/errors.ts";
import type {
  CachePolicy,
  GenerationInput,
  GenerationTask,
  LogitBias,
  OutputConstraint,
  OutputOptions,
  ReasoningOptions,
  SamplingParams,
  SchedulingHints,
  StopCriteria,
} from "../domain/generation-task.ts";
import type { Models } from "../models/Models.ts";
import { chatFromWire } from "./chat-from-wire.ts";
import { optionalMs } from "./duration.ts";
import { invalidField } from "./invalid-field.ts";
import { namingModel, type Refusal } from "./naming-model.ts";
import { unknownField } from "./unknown-field.ts";
import { present } from "../domain/present.ts";

/**
 * Converts a validated task to the service's own terms. Refuses what the rules in the proto files cannot express, and
 * what no engine of this service supports. Paths in errors start at `task`.
 */
export const checkedTask = (
  task: wire.GenerationTask | undefined,
  models: Models["Service"],
): Effect.Effect<GenerationTask, Refusal> =>
  namingModel(models)(
    Effect.fromResult(task === undefined ? Result.fail(invalidField("task", "it must be set")) : taskFromWire(task)),
  );

const taskFromWire = (task: wire.GenerationTask): Result.Result<GenerationTask, Refusal> =>
  Result.gen(function* () {
    const unknown = unknownField(wire.GenerationTaskSchema, task, "task");
    if (unknown !== undefined) {
      const hint = "this version of the service does not know the field";
      return yield* Result.fail(new UnsupportedParameter({ field: unknown, model: task.model, hint }));
    }
    const ofOneModel = task.adapter !== undefined || task.modelRevision !== undefined;
    if (task.alternatives.length > 0 && ofOneModel) {
      const problem = "there are none beside model_revision or adapter, which are of one model";
      return yield* Result.fail(invalidField("task.alternatives", problem));
    }
    const contextPolicy = contextPolicies[task.contextPolicy];
    if (contextPolicy !== undefined && task.input.case !== "chat") {
      const problem = "only a conversation can be shortened: leave it out, or set chat";
      return yield* Result.fail(invalidField("task.context_policy", problem));
    }
    return {
      model: task.model,
      ...(task.alternatives.length === 0 ? {} : { alternatives: task.alternatives }),
      ...(task.modelRevision === undefined ? {} : { modelRevision: task.modelRevision }),
      ...(task.adapter === undefined ? {} : { adapter: task.adapter }),
      input: yield* inputFromWire(task.input),
      ...present({ contextPolicy }),
      reasoning: reasoningFromWire(task.reasoning),
      sampling: samplingFromWire(task.sampling),
      stop: yield* stopFromWire(task.stop),
      output: yield* outputFromWire(task.output),
      ...present({ constraint: constraintFromWire(task.constraint) }),
      scheduling: yield* schedulingFromWire(task.scheduling, "task.scheduling"),
      cache: cacheFromWire(task.cache),
      labels: task.labels,
    };
  });

const contextPolicies: Readonly<Record<number, GenerationTask["contextPolicy"]>> = {
  [wire.ContextPolicy.DROP_OLDEST]: "drop-oldest",
  [wire.ContextPolicy.SUMMARISE]: "summarise",
};

const inputFromWire = (input: wire.GenerationTask["input"]): Result.Result<GenerationInput, InvalidField> => {
  switch (input.case) {
    case "prompt":
      return Result.succeed({ type: "prompt", text: input.value });
    case "tokens":
      return Result.succeed({ type: "tokens", ids: input.value.ids });
    case "chat":
      return chatFromWire(input.value, "task.chat");
    case undefined:
      return Result.fail(invalidField("task.input", "exactly one of prompt, chat, tokens must be set"));
  }
};

const reasoningFromWire = (reasoning: wire.ReasoningOptions | undefined): ReasoningOptions =>
  present({ maxTokens: reasoning?.maxTokens, effort: reasoning && efforts[reasoning.effort] });

const efforts: Readonly<Record<number, ReasoningOptions["effort"]>> = {
  [wire.ReasoningOptions_Effort.LOW]: "low",
  [wire.ReasoningOptions_Effort.MEDIUM]: "medium",
  [wire.ReasoningOptions_Effort.HIGH]: "high",
};

const samplingFromWire = (sampling: wire.SamplingParams | undefined): SamplingParams =>
  sampling === undefined
    ? {}
    : present({
        temperature: sampling.temperature,
        topP: sampling.topP,
        topK: sampling.topK,
        minP: sampling.minP,
        repetitionPenalty: sampling.repetitionPenalty,
        presencePenalty: sampling.presencePenalty,
        frequencyPenalty: sampling.frequencyPenalty,
        seed: sampling.seed,
        logitBias: biasFromWire(sampling.logitBias),
        candidateCount: sampling.candidateCount,
      });

const biasFromWire = (logitBias: ReadonlyArray<wire.LogitBias>): ReadonlyArray<LogitBias> | undefined =>
  logitBias.length === 0 ? undefined : logitBias.map(({ tokenId, bias }) => ({ tokenId, bias }));

const stopFromWire = (stop: wire.StopCriteria | undefined): Result.Result<StopCriteria, InvalidField> =>
  Result.gen(function* () {
    const { minOutputTokens: least, maxOutputTokens: most } = stop ?? {};
    if (least !== undefined && most !== undefined && least > most) {
      const description = `${least} is out of range; it must not be over max_output_tokens, which is ${most}`;
      return yield* Result.fail(invalidField("task.stop.min_output_tokens", description));
    }
    const timeBudgetMs = yield* optionalMs("task.stop.time_budget", stop?.timeBudget);
    return {
      ...present({ maxOutputTokens: most, minOutputTokens: least, timeBudgetMs }),
      stopSequences: stop?.stopSequences ?? [],
      stopTokenIds: stop?.stopTokenIds ?? [],
      ignoreEos: stop?.ignoreEos ?? false,
      includeStopInOutput: stop?.includeStopInOutput ?? false,
      ...(stop?.replaceModelStops === true && { replacesModelStops: true }),
    };
  });

const outputFromWire = (output: wire.OutputOptions | undefined): Result.Result<OutputOptions, InvalidField> =>
  Result.gen(function* () {
    const flushIntervalMs = yield* optionalMs("task.output.flush_interval", output?.flushInterval);
    return {
      ...present({ topLogprobs: output?.topLogprobs, flushTokens: output?.flushTokens, flushIntervalMs }),
      tokenIds: output?.tokenIds ?? false,
      verbatim: output?.verbatim ?? false,
      promptLogprobs: output?.promptLogprobs ?? false,
      echoPrompt: output?.echoPrompt ?? false,
      timings: output?.timings ?? false,
    };
  });

const constraintFromWire = (constraint: wire.OutputConstraint | undefined): OutputConstraint | undefined => {
  const kind = constraint?.kind;
  switch (kind?.case) {
    case "jsonObject":
      return { type: "json-object" };
    case "jsonSchema":
      return { type: "json-schema", schema: kind.value };
    case "regex":
      return { type: "regex", pattern: kind.value };
    case "grammar":
      return { type: "grammar", text: kind.value };
    case "choice":
      return { type: "choice", choices: kind.value.choices };
    case undefined:
      return undefined;
  }
};

export const schedulingFromWire = (
  hints: wire.SchedulingHints | undefined,
  path: string,
): Result.Result<SchedulingHints, InvalidField> =>
  Result.gen(function* () {
    const maxQueueWaitMs = yield* optionalMs(`${path}.max_queue_wait`, hints?.maxQueueWait);
    return {
      ...present({ maxQueueWaitMs, priority: hints?.priority }),
      fairnessId: hints?.fairnessId ?? "",
    };
  });

const cacheFromWire = (cache: wire.CachePolicy | undefined): CachePolicy => ({
  mode: cacheModes[cache?.mode ?? wire.CachePolicy_Mode.UNSPECIFIED] ?? "read-write",
  partition: cache?.partition ?? "",
  ...present({ stablePrefixTokens: cache?.stablePrefixTokens }),
});

const cacheModes: Readonly<Record<number, CachePolicy["mode"]>> = {
  [wire.CachePolicy_Mode.READ_WRITE]: "read-write",
  [wire.CachePolicy_Mode.READ_ONLY]: "read-only",
  [wire.CachePolicy_Mode.BYPASS]: "bypass",
};
