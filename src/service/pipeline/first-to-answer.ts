/** Runs a task that lists alternatives: tries the models in order until output of an answer was sent. */
import { Effect } from "effect";

import { NoModelAnswers, type ServiceError } from "../domain/errors.ts";
import type { GenerationStarted } from "../domain/generation-result.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import { type Emit, HeldAnswer } from "./HeldAnswer.ts";

interface Asking {
  readonly task: GenerationTask;
  /** Whether events are sent as they come. Otherwise an answer that breaks off can still be replaced. */
  readonly streams: boolean;
  readonly ask: (task: GenerationTask, emit: Emit) => Effect.Effect<void, ServiceError>;
  readonly emit: Emit;
}

/**
 * Fails with the error of the task's model if no alternatives are listed, and with NoModelAnswers if none of them
 * answers.
 */
export const firstToAnswer = Effect.fnUntraced(function* ({
  task: { alternatives = [], ...task },
  streams,
  ask,
  emit,
}: Asking): Effect.fn.Return<void, ServiceError> {
  if (alternatives.length === 0) return yield* ask(task, emit);
  const passedOver: PassedOver[] = [];
  for (const model of [task.model, ...alternatives]) {
    const before = [...passedOver];
    const answer = new HeldAnswer(
      (started) => (before.length === 0 ? started : { ...started, passedOver: before }),
      streams,
      emit,
    );
    const result = yield* Effect.result(ask({ ...task, model }, answer.onEvent));
    if (result._tag === "Success") return answer.release();
    const { failure: error } = result;
    if (answer.isReleased || !mayBePassedOver(error)) return yield* Effect.fail(error);
    passedOver.push({ model, error });
    yield* Effect.annotateLogs(Effect.logWarning("model passed over"), { model, cause: error.message });
  }
  return yield* new NoModelAnswers({
    models: passedOver.map(({ model }) => model),
    problems: passedOver.map(({ error }) => error.message),
    retryAfterMs: Math.min(...passedOver.map(({ error }) => ("retryAfterMs" in error ? error.retryAfterMs : 1_000))),
  });
});

type PassedOver = NonNullable<GenerationStarted["passedOver"]>[number];

/**
 * Whether an error is due to the model or its backend. An error that is due to the task would occur with another model,
 * too.
 */
const mayBePassedOver = (error: ServiceError): boolean => {
  // A name that is not in the catalog is the caller's mistake, unlike a model that its backend lacks.
  if (error._tag === "ModelNotFound") return error.backend !== undefined;
  // A task that has ended two engines would end the next one.
  if (error._tag === "EngineLost") return (error.deaths ?? 0) < 2;
  return ofModels.has(error._tag);
};

const ofModels: ReadonlySet<ServiceError["_tag"]> = new Set([
  "BackendCredentials",
  "BackendProtocol",
  "BackendQuota",
  "BackendUnavailable",
  "OutputInvalid",
  "EngineRestarting",
  "EngineStartFailed",
  "EngineUnavailable",
  "InsufficientMemory",
  "MemoryBudgetExceeded",
  "ModelBroken",
  "ModelFilesMissing",
  "ModelNotDownloaded",
  "ModelPoolFull",
  "ModelTooLarge",
  "ModelUnfit",
  "ModelUnloaded",
  "OutOfMemory",
  "QueueFull",
  "SandboxLost",
]);
