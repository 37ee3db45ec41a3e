/** Runs a task on an engine that takes tokens: renders its prompt with the model's files and checks it against their limits. */
import { Clock, Effect, Random } from "effect";

import type { Allowance } from "../access/Allowance.ts";
import { elapsedMsUnsafe } from "../domain/elapsed.ts";
import type { ContextLengthExceeded } from "../domain/errors.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import type { Engine, EngineRequest } from "../engine/Engine.ts";
import type { TokenModel } from "../models/Models.ts";
import { marksReasoning } from "../output/output-format.ts";
import { resolveParameters } from "../prompt/effective-parameters.ts";
import { allowedDefaults } from "./take-tokens.ts";
import { candidateSeed } from "./candidate-seed.ts";
import { engineRequests } from "./engine-requests.ts";
import type { GenerationRecord } from "./GenerationRecord.ts";
import { preparePrompt, type PromptFailure } from "./prepare-prompt.ts";
import type { BegunRun, PreparedRun } from "./PreparedRun.ts";
import { generateRecovering, isRecoverable } from "./recovery.ts";

interface TokenRunOptions {
  /** Whether this is a smoke test. */
  readonly isTrial: boolean;
  /** Whether a broken answer is generated again if nothing of it was sent. */
  readonly retriesBroken: boolean;
  readonly allowance: Allowance;
}

export const prepareTokenRun = Effect.fnUntraced(function* (
  task: GenerationTask,
  model: TokenModel,
  { isTrial, retriesBroken, allowance }: TokenRunOptions,
): Effect.fn.Return<PreparedRun, PromptFailure | ContextLengthExceeded> {
  const { facts, outputFormat, vocabulary } = model;
  const prompt = yield* preparePrompt(task, model, allowance);
  const promptTokens = prompt.tokenIds.length;
  const randomSeed = yield* Random.nextIntBetween(0, 2 ** 32 - 1);
  const { sampling, stop } = task;
  const defaults = allowedDefaults(facts.defaults, allowance, promptTokens, sampling);
  const resolved = yield* Effect.fromResult(
    resolveParameters({ ...facts, defaults, sampling, stop, promptTokens, randomSeed }),
  );
  const { parameters } = resolved;
  const { conversation } = prompt;
  const isRetried = retriesBroken && isRecoverable(task, parameters);
  return {
    parameters: { ...parameters, ...(prompt.adapter && { adapter: prompt.adapter.id }) },
    promptTokens,
    countedPromptTokens: promptTokens,
    echo: prompt.echo,
    reasons: task.input.type === "chat" && marksReasoning(outputFormat) && !task.output.verbatim,
    begin: ({ id, receivedAt, streams }) =>
      Effect.map(model.lease(isTrial), (engine): BegunRun => {
        const requests = engineRequests(id, task, model, prompt, resolved, { streams, receivedAt });
        const [only] = requests;
        return {
          cancel: cancelAll(engine, requests),
          run: (record) => {
            if (!isRetried || only === undefined || conversation === undefined) {
              return Effect.as(runAll(engine, requests, record), undefined);
            }
            const retrySeed = candidateSeed(parameters.seed, 1);
            const { specials } = vocabulary;
            return generateRecovering({
              task,
              engine,
              request: only,
              conversation,
              specials,
              record,
              streams,
              retrySeed,
            });
          },
        };
      }),
  };
});

const cancelAll = (engine: Engine, requests: ReadonlyArray<EngineRequest>): Effect.Effect<boolean> =>
  Effect.map(
    Effect.forEach(requests, ({ id }) => engine.cancel(id)),
    (found) => found.some(Boolean),
  );

/** Submits in order: the first request computes the prompt, the others find it in the prefix cache. */
const runAll = (engine: Engine, requests: ReadonlyArray<EngineRequest>, record: GenerationRecord) =>
  Effect.flatMap(Clock.Clock, (clock) =>
    Effect.forEach(
      requests,
      (request, candidateIndex) =>
        engine.generate(request, (event) => record.onEngineEvent(candidateIndex, event, elapsedMsUnsafe(clock))),
      { concurrency: "unbounded", discard: true },
    ),
  );
