/** Embeddings through the same queue, pool and engines as generations. */
import { Clock, Effect, Layer } from "effect";

import { Admission } from "../admission/Admission.ts";
import { CurrentCall, forTask } from "../domain/Call.ts";
import type { EmbeddingTask } from "../domain/embedding.ts";
import { turnOf } from "../domain/turn.ts";
import { noUsage, type Usage } from "../domain/usage.ts";
import { Models } from "../models/Models.ts";
import { useTokens } from "./use-tokens.ts";
import { Stats } from "../telemetry/Stats.ts";
import { Embeddings } from "./Embeddings.ts";
import { describeCall, ofTenant } from "./of-caller.ts";
import { modelOfFailure, outcomeOf } from "./outcome.ts";
import { prepareInputs } from "./prepare-inputs.ts";
import { type Wait, withinQueueWait } from "./queue-wait.ts";
import { withFilesOfNow } from "./with-files-of-now.ts";

/** Where a task has come to: what its end is accounted under. */
interface Execution {
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

    const embed = Effect.fn("Embeddings.embed")(function* (task: EmbeddingTask, execution: Execution) {
      const receivedAt = yield* Clock.currentTimeMillis;
      const model = yield* useTokens(models, task.model, "embeddings").pipe(
        Effect.tapError((error) => Effect.sync(() => (execution.model = modelOfFailure(error)))),
      );
      const { facts } = model;
      execution.model = facts.id;
      const { inputs, pooling } = yield* prepareInputs(task, model);
      const { dimensions, normalize } = task;
      execution.wait.for = "place";
      yield* admission.admit(facts.id, task.scheduling);
      execution.wait.for = "model";
      const engine = yield* model.lease(execution.isTrial);
      execution.wait.for = "engine";
      const scheduling = { turn: turnOf(task.scheduling, receivedAt), fairnessId: task.scheduling.fairnessId };
      const onAdmitted = () => (execution.wait.over = true);
      const usage = { ...noUsage };
      execution.usage = usage;
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
      run: Effect.fn("Embeddings.run")(function* (task, { isTrial = false } = {}) {
        const call = yield* CurrentCall;
        const own = ofTenant(call.caller, task);
        const wait: Wait = { for: "prompt", over: false };
        const execution: Execution = { model: "", isTrial, wait, usage: undefined };
        const embedding = withFilesOfNow(embed(own, execution)).pipe(forTask(own.scheduling.fairnessId));
        return yield* withinQueueWait(task.scheduling.maxQueueWaitMs, wait, embedding).pipe(
          Effect.onExit((exit) => {
            const outcome = outcomeOf(exit, call);
            stats.ended(execution.model, outcome, execution.usage);
            return Effect.logInfo("embedding ended").pipe(
              Effect.annotateLogs({
                ...describeCall(call),
                model: execution.model || task.model,
                outcome,
                inputs: task.inputs.length,
                ...execution.usage,
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
