/** Runs generations, step by step: resolve the model, render the prompt, check limits, admit, generate, account. */
import { randomUUID } from "node:crypto";
import { Clock, Effect, Layer, Queue, Stream } from "effect";

import { Access } from "../access/Access.ts";
import type { Allowance } from "../access/Allowance.ts";
import { Admission } from "../admission/Admission.ts";
import { QualityConfig } from "../config/QualityConfig.ts";
import { CurrentCall, forTask } from "../domain/Call.ts";
import { type Caller, itself, mayManage } from "../domain/Caller.ts";
import { elapsedMsUnsafe } from "../domain/elapsed.ts";
import {
  EngineLost,
  ModelChanged,
  ModelUnfit,
  ModelUnloaded,
  OutputInvalid,
  type Progress,
  type ServiceError,
} from "../domain/errors.ts";
import type { GenerationEvent } from "../domain/generation-result.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import { type ModelInUse, Models } from "../models/Models.ts";
import { SmokeTests } from "../models/smoke/SmokeTests.ts";
import { addUsage, noUsage } from "../domain/usage.ts";
import { countPrompt } from "./count-prompt.ts";
import { resolveParameters } from "../prompt/effective-parameters.ts";
import { Metrics } from "../telemetry/metrics/Metrics.ts";
import { Stats } from "../telemetry/Stats.ts";
import { collectResult } from "./collect-result.ts";
import { prepareConversationRun } from "./conversation-run.ts";
import { type TaskOptions, Generations } from "./Generations.ts";
import { fitContext } from "./context/fit-context.ts";
import { firstToAnswer } from "./first-to-answer.ts";
import { GenerationRecord } from "./GenerationRecord.ts";
import type { Emit } from "./HeldAnswer.ts";
import { type Execution, executeTask } from "./execute-task.ts";
import { modelOfFailure } from "./outcome.ts";
import { preparePrompt } from "./prepare-prompt.ts";
import { leastTokens, takeTokens } from "./take-tokens.ts";
import { withFilesOfNow } from "./with-files-of-now.ts";
import { prepareTokenRun } from "./token-run.ts";

/** How a task is run. */
interface Mode {
  readonly isTrial: boolean;
  /** Whether events are sent as they come, and not collected into one result. */
  readonly streams: boolean;
}

interface RunningGeneration {
  readonly caller: Caller;
  /** Returns whether any part of it was still running. */
  readonly cancel: Effect.Effect<boolean>;
}

type Needs = Models | Access | Admission | Metrics | Stats | SmokeTests | QualityConfig;

export const layer: Layer.Layer<Generations, never, Needs> = Layer.effect(
  Generations,
  Effect.gen(function* () {
    const models = yield* Models;
    const access = yield* Access;
    const admission = yield* Admission;
    const metrics = yield* Metrics;
    const stats = yield* Stats;
    const smokeTests = yield* SmokeTests;
    const { retriesBroken } = yield* QualityConfig;
    const running = new Map<string, RunningGeneration>();

    /** Reads the catalog again if an adapter's files have changed, so that the retry finds the new ones. */
    const rescanning = <A, E extends ServiceError>(prepared: Effect.Effect<A, E>) =>
      Effect.tapError(prepared, (error) =>
        error instanceof ModelChanged ? Effect.ignore(models.rescan) : Effect.void,
      );

    const prepare = (task: GenerationTask, model: ModelInUse, isTrial: boolean, allowance: Allowance) =>
      model.takes === "tokens"
        ? rescanning(prepareTokenRun(task, model, { isTrial, retriesBroken: retriesBroken && !isTrial, allowance }))
        : prepareConversationRun(task, model, isTrial, allowance, countPrompt(models, task, model));

    const generate = Effect.fn("Generations.generate")(function* (
      task: GenerationTask,
      execution: Execution<GenerationRecord>,
      { isTrial, streams }: Mode,
      emit: Emit,
    ) {
      const clock = yield* Clock.Clock;
      const receivedAt = elapsedMsUnsafe(clock);
      execution.wait.over = false;
      const model = yield* models
        .use(task.model)
        .pipe(Effect.tapError((error) => Effect.sync(() => (execution.model = modelOfFailure(error)))));
      const { facts } = model;
      execution.model = facts.id;
      // With an adapter it is another model, which no smoke test has tried.
      const isBlocked = task.input.type === "chat" && task.adapter === undefined && !isTrial;
      const unfit = isBlocked ? smokeTests.blocking(facts) : undefined;
      if (unfit !== undefined) return yield* new ModelUnfit({ model: facts.id, finding: unfit.reason });
      const { caller, follow } = yield* CurrentCall;
      // A smoke test is the service's own work.
      const allowance = access.allowanceOf(isTrial ? itself : caller);
      yield* Effect.fromResult(allowance.check(leastTokens(task)));
      const { begin, countedPromptTokens, ...prepared } = yield* Effect.withSpan(
        prepare(task, model, isTrial, allowance),
        "prompt",
      );
      const id = `gen_${randomUUID().replaceAll("-", "")}`;
      const { candidateCount = 1 } = task.sampling;
      const record = new GenerationRecord({
        ...prepared,
        id,
        facts,
        promptLogprobs: task.output.promptLogprobs,
        candidateCount,
        receivedAt,
        onBegun: () => (execution.wait.over = true),
        emit: (event) => emit(event, elapsedMsUnsafe(clock)),
      });
      execution.record = record;
      yield* Effect.annotateCurrentSpan("gen_ai.response.id", id);
      if (!isTrial) follow(() => ({ generationId: id, usage: record.usage }));
      const { promptTokens } = prepared;
      yield* takeTokens(
        allowance,
        {
          longestPrompt: countedPromptTokens,
          prompt: countedPromptTokens,
          output: prepared.parameters.maxOutputTokens,
          answers: candidateCount,
          ...(promptTokens === undefined && { precision: "about" as const }),
        },
        () => (execution.wait.over ? record.usage : noUsage),
      );
      execution.wait.for = "place";
      const size = {
        candidates: candidateCount,
        ...(promptTokens !== undefined && { promptTokens }),
      };
      yield* Effect.withSpan(admission.admit(facts.id, task.scheduling, size), "queue");
      execution.wait.for = "model";
      const { run, cancel } = yield* Effect.withSpan(begin({ id, receivedAt, streams }), "model");
      execution.wait.for = "engine";
      yield* Effect.acquireRelease(
        Effect.sync(() => running.set(id, { caller, cancel })),
        () => Effect.sync(() => running.delete(id)),
      );
      const retried = yield* Effect.withSpan(run(record), "engine");
      if (retried === undefined) return;
      stats.retried(facts.id, retried.second === undefined && !record.cancelled);
      yield* Effect.logWarning("a broken answer was generated anew").pipe(
        Effect.annotateLogs({ model: facts.id, generationId: id, ...retried }),
      );
    }, Effect.scoped);

    const execute = Effect.fn("Generations.execute")(function* (
      task: GenerationTask,
      { isTrial = false }: TaskOptions,
      streams: boolean,
      emit: (event: GenerationEvent) => void,
    ): Effect.fn.Return<void, ServiceError> {
      let hasSent = false;
      const clock = yield* Clock.Clock;
      const measure = metrics.generation(elapsedMsUnsafe(clock));
      const send: Emit = (event, at) => {
        hasSent = true;
        measure(event, at);
        emit(event);
      };
      yield* executeTask<GenerationTask, GenerationRecord, void>({
        task,
        stats,
        access,
        ended: "generation ended",
        describe: (record) => ({ ...labelled(task), ...(record !== undefined && { generationId: record.id }) }),
        hasSent: () => hasSent,
        run: (own, execution) =>
          firstToAnswer({
            task: own,
            streams,
            emit: send,
            ask: (asked, onEvent) =>
              fitContext({
                task: asked,
                emit: onEvent,
                onSpent: (usage) => {
                  execution.spent = addUsage(execution.spent, usage);
                  // `spent` now includes its usage.
                  execution.record = undefined;
                },
                ask: (fitting, onAnswer) =>
                  Effect.mapError(generate(fitting, execution, { isTrial, streams }, onAnswer), (error) =>
                    withProgress(error, execution.record, streams && hasSent),
                  ),
              }),
          }),
      });
    });

    return Generations.of({
      // The queue is unbounded because the output limit bounds the number of events.
      stream: (task, options = {}) =>
        Stream.callback<GenerationEvent, ServiceError>((queue) =>
          Effect.andThen(
            execute(task, options, true, (event) => void Queue.offerUnsafe(queue, event)),
            Queue.end(queue),
          ),
        ),
      run: Effect.fn("Generations.run")(function* (task, options = {}) {
        const events: GenerationEvent[] = [];
        yield* execute(task, options, false, (event) => void events.push(event));
        return collectResult(events);
      }),
      count: Effect.fn("Generations.count")(
        function* (task) {
          const model = yield* models.use(task.model);
          const { facts } = model;
          const { tokens: promptTokens, estimated } =
            model.takes === "tokens"
              ? { tokens: (yield* rescanning(preparePrompt(task, model))).tokenIds.length, estimated: false }
              : yield* countPrompt(models, task, model);
          const resolved = resolveParameters({
            ...facts,
            ...task,
            eosTokenIds: model.takes === "tokens" ? model.facts.eosTokenIds : [],
            promptTokens,
            randomSeed: 0,
          });
          return {
            model: facts.id,
            promptTokens,
            contextLength: facts.contextLength,
            fits: resolved._tag === "Success",
            maxOutputTokensLeft: Math.max(0, facts.contextLength - promptTokens),
            estimated,
          };
        },
        (counting, { scheduling }) => withFilesOfNow(counting).pipe(forTask(scheduling.fairnessId)),
      ),
      cancel: Effect.fn("Generations.cancel")(function* (generationId) {
        const { caller } = yield* CurrentCall;
        const found = running.get(generationId);
        return found !== undefined && mayManage(caller, found.caller) ? yield* found.cancel : false;
      }),
    });
  }),
);

/** Log fields of the caller's labels, with a prefix that keeps them apart from the service's own fields. */
const labelled = ({ labels }: GenerationTask): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(labels).map(([key, value]) => [`label.${key}`, value]));

/** @param isSent whether events are sent as they come, and some were sent */
const withProgress = (error: ServiceError, record: GenerationRecord | undefined, isSent: boolean): ServiceError => {
  if (record === undefined) return error;
  const progress: Progress = { generationId: record.id, usage: record.usage };
  const delivered = isSent && record.hasEmitted;
  switch (error._tag) {
    case "EngineLost":
      return new EngineLost({ ...error, delivered, progress });
    case "OutputInvalid":
      return new OutputInvalid({ ...error, progress });
    case "ModelUnloaded":
      return new ModelUnloaded({ ...error, delivered, progress });
    default:
      return error;
  }
};
