/** Embeddings through the same queue, pool and engines as generations. */
import { Clock, Effect, Layer } from "effect";

import { Admission } from "../admission/Admission.ts";
import type { EmbeddingResult, EmbeddingTask } from "../domain/embedding.ts";
import { DeadlineExceeded, type ServiceError } from "../domain/errors.ts";
import { turnOf } from "../domain/turn.ts";
import { noUsage, type Usage } from "../domain/usage.ts";
import { Models } from "../models/Models.ts";
import { Stats } from "../telemetry/Stats.ts";
import { Embeddings } from "./Embeddings.ts";
import { modelOfFailure, outcomeOf } from "./outcome.ts";
import { prepareInputs } from "./prepare-inputs.ts";
import { type Wait, withinQueueWait } from "./queue-wait.ts";
import { withFilesOfNow } from "./with-files-of-now.ts";

/** Where a call has come to: what its end is accounted under. */
interface Call {
  /** Its id; empty while it is not known which it is. */
  model: string;
  readonly isTrial: boolean;
  readonly wait: Wait;
  usage: Usage | undefined;
}

export const layer: Layer.Layer<Embeddings, never, Models | Admission | Stats> = Layer.effect(
  Embeddings,
  Effect.gen(function* () {
    const models = yield* Models;
    const admission = yield* Admission;
    const stats = yield* Stats;

    const embed = Effect.fn("Embeddings.embed")(function* (task: EmbeddingTask, call: Call) {
      const receivedAt = yield* Clock.currentTimeMillis;
      const tools = yield* models
        .promptTools(task.model)
        .pipe(Effect.tapError((error) => Effect.sync(() => (call.model = modelOfFailure(error)))));
      const { facts } = tools;
      call.model = facts.id;
      const { inputs, pooling } = yield* prepareInputs(task, tools);
      const { dimensions, normalize } = task;
      call.wait.for = "place";
      yield* admission.admit(facts.id, task.scheduling);
      call.wait.for = "model";
      const engine = yield* models.lease(facts, call.isTrial);
      call.wait.for = "engine";
      const scheduling = { turn: turnOf(task.scheduling, receivedAt), fairnessId: task.scheduling.fairnessId };
      const onAdmitted = () => (call.wait.over = true);
      const usage = { ...noUsage };
      call.usage = usage;
      // Not all at once: what others ask meanwhile does not wait for the whole of a large batch.
      const embeddings = yield* Effect.forEach(
        inputs,
        ({ tokenIds, truncated }) =>
          engine
            .embed(
              {
                promptTokenIds: tokenIds,
                scheduling,
                pooling,
                normalize,
                ...(dimensions !== undefined && { dimensions }),
              },
              onAdmitted,
            )
            .pipe(
              Effect.map((values) => {
                usage.promptTokens += tokenIds.length;
                return { values, tokens: tokenIds.length, truncated };
              }),
            ),
        { concurrency: inFlight },
      );
      return { model: facts.id, modelRevision: facts.revision, pooling, embeddings, usage };
    }, Effect.scoped);

    return Embeddings.of({
      run: (task, { deadlineMs, isTrial = false }) =>
        Effect.suspend((): Effect.Effect<EmbeddingResult, ServiceError> => {
          const wait: Wait = { for: "prompt", over: false };
          const call: Call = { model: "", isTrial, wait, usage: undefined };
          return withinQueueWait(task.scheduling.maxQueueWaitMs, wait, withFilesOfNow(embed(task, call))).pipe(
            Effect.timeoutOrElse({ duration: deadlineMs, orElse: () => Effect.fail(new DeadlineExceeded({})) }),
            Effect.onExit((exit) => {
              const outcome = outcomeOf(exit);
              stats.ended(call.model, outcome, call.usage);
              return Effect.logInfo("embedding ended").pipe(
                Effect.annotateLogs({
                  model: call.model || task.model,
                  outcome,
                  inputs: task.inputs.length,
                  ...call.usage,
                }),
              );
            }),
          );
        }),
    });
  }),
);

/** Texts of one call that an engine has at once: enough to compute several together. */
const inFlight = 8;
