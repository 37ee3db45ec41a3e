/** Runs embedding tasks through the same queue, pool and engines as generations. */
import { Effect, Layer } from "effect";

import { Access } from "../access/Access.ts";
import type { TaskTokens } from "../access/Quotas.ts";
import { Admission } from "../admission/Admission.ts";
import { CurrentCall } from "../domain/Call.ts";
import { itself } from "../domain/Caller.ts";
import { elapsedMs } from "../domain/elapsed.ts";
import type { EmbeddingTask } from "../domain/embedding.ts";
import { engineSchedulingOf } from "../domain/turn.ts";
import { noUsage, type Usage } from "../domain/usage.ts";
import { Models } from "../models/Models.ts";
import { useTokens } from "./use-tokens.ts";
import { Stats } from "../telemetry/Stats.ts";
import { Embeddings } from "./Embeddings.ts";
import { type Execution, executeTask } from "./execute-task.ts";
import { modelOfFailure } from "./outcome.ts";
import { prepareInputs } from "./prepare-inputs.ts";
import { takeTokens } from "./take-tokens.ts";

export const layer: Layer.Layer<Embeddings, never, Models | Access | Admission | Stats> = Layer.effect(
  Embeddings,
  Effect.gen(function* () {
    const models = yield* Models;
    const access = yield* Access;
    const admission = yield* Admission;
    const stats = yield* Stats;

    const embed = Effect.fn("Embeddings.embed")(function* (
      task: EmbeddingTask,
      execution: Execution<{ readonly usage: Usage }>,
      isTrial: boolean,
    ) {
      const receivedAt = yield* elapsedMs;
      const model = yield* useTokens(models, task.model, "embeddings").pipe(
        Effect.tapError((error) => Effect.sync(() => (execution.model = modelOfFailure(error)))),
      );
      const { facts } = model;
      execution.model = facts.id;
      const { caller } = yield* CurrentCall;
      const allowance = access.allowanceOf(isTrial ? itself : caller);
      const leastLengths = task.inputs.map((input) =>
        input.type === "tokens" && !task.truncate ? input.ids.length : 1,
      );
      yield* Effect.fromResult(allowance.check({ ...tokensOf(leastLengths), precision: "at least" }));
      const { inputs, pooling } = yield* prepareInputs(task, model);
      const { dimensions, normalize } = task;
      const usage = { ...noUsage };
      yield* takeTokens(allowance, tokensOf(inputs.map(({ tokenIds }) => tokenIds.length)), () => usage);
      execution.wait.for = "place";
      yield* admission.admit(facts.id, task.scheduling);
      execution.wait.for = "model";
      const engine = yield* model.lease(isTrial);
      execution.wait.for = "engine";
      const scheduling = engineSchedulingOf(task.scheduling, receivedAt);
      const onAdmitted = () => (execution.wait.over = true);
      execution.record = { usage };
      // Not all at once, so that requests of others do not wait for the whole of a large batch.
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
      run: Effect.fn("Embeddings.run")((task, { isTrial = false } = {}) =>
        executeTask({
          task,
          stats,
          access,
          ended: "embedding ended",
          describe: () => ({ inputs: task.inputs.length }),
          run: (own, execution) => embed(own, execution, isTrial),
        }),
      ),
    });
  }),
);

/** @param lengths of the texts */
const tokensOf = (lengths: ReadonlyArray<number>): TaskTokens => ({
  longestPrompt: Math.max(0, ...lengths),
  prompt: lengths.reduce((sum, length) => sum + length, 0),
  output: 0,
  answers: 1,
});

/** How many texts of one call an engine has at once: enough to compute several together. */
const inFlight = 8;
