/**
 * The mlx driver. A model runs in an engine process of its own, which is supervised: it is ready after the model's self-check,
 * watched by what it delivers, and restarted when it dies. Requests that had not streamed yet are replayed once on the next
 * process (Runs.ts); the others fail with EngineLost. An engine that cannot be restarted is given up, and `failure` says why.
 */
import { Clock, Effect, SubscriptionRef } from "effect";

import type { EngineSettings } from "../../config/EngineConfig.ts";
import { versions } from "../../config/versions.ts";
import type { ModelChanged } from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import type { Vocabulary } from "../../prompt/Vocabulary.ts";
import { spanWriter } from "../../telemetry/traces/spans.ts";
import type { StepWork } from "../../worker/protocol/from-worker.ts";
import type { TokenEngine } from "../Engine.ts";
import type { EngineFailure } from "../engine-failures.ts";
import type { EngineHealth } from "../EngineStatus.ts";
import type { Drafting, Driver } from "../Engines.ts";
import { PrefixUse } from "../PrefixUse.ts";
import { ComputeTurns } from "./ComputeTurns.ts";
import { EmbeddingRun } from "./EmbeddingRun.ts";
import type { EngineRun } from "./EngineRun.ts";
import { GenerationRun } from "./GenerationRun.ts";
import { type SupervisedModel, Supervisor } from "./Supervisor.ts";
import { TracedRun } from "./TracedRun.ts";
import { createVocabularyMessage, WorkerVocabulary } from "./vocabulary.ts";
import { SpareWorker } from "./SpareWorker.ts";

/** Listeners to what engines do. */
interface EngineListeners {
  /** Called with what each step of an engine computed, by model. */
  readonly onWork?: (model: string, work: StepWork) => void;
  readonly prefixUse?: PrefixUse;
}

export const mlxDriver = (settings: EngineSettings, listeners: EngineListeners): Driver => {
  const turns = settings.takesTurns ? new ComputeTurns() : undefined;
  const { prepare, spawn } = new SpareWorker(settings.environment);
  return {
    version: versions.mlx,
    prepare,
    start: (...model) => startEngine({ spawn, settings, turns, ...listeners }, ...model),
  };
};

/** What all engines of a driver share. */
interface EngineParts extends Pick<SupervisedModel, "spawn" | "settings" | "turns">, EngineListeners {}

/** Completes when the first process has passed its self-check. The scope owns the engine. */
export const startEngine = Effect.fn("MlxEngine.start")(function* (
  { spawn, settings, turns, onWork, prefixUse = new PrefixUse() }: EngineParts,
  facts: ModelFacts,
  vocabulary: Vocabulary,
  drafting: Drafting,
  unchanged: Effect.Effect<void, ModelChanged>,
  reservedBytes: number,
) {
  const health = yield* SubscriptionRef.make<EngineHealth>("restarting");
  const clock = yield* Clock.Clock;
  const workerVocabulary = new WorkerVocabulary(yield* Effect.cached(createVocabularyMessage(vocabulary)));
  const supervisor = new Supervisor({
    facts,
    vocabulary: workerVocabulary,
    drafting,
    unchanged,
    reservedBytes,
    settings,
    turns,
    spawn,
    clock,
    health,
    onWork: (work) => onWork?.(facts.id, work),
    prefixUse,
  });
  yield* Effect.forkScoped(supervisor.supervise);
  yield* Effect.forkScoped(supervisor.watch);
  yield* Effect.raceFirst(supervisor.ready, Effect.flip(supervisor.failure));
  return makeEngine(supervisor, workerVocabulary, health);
});

const makeEngine = (
  supervisor: Supervisor,
  workerVocabulary: WorkerVocabulary,
  health: SubscriptionRef.SubscriptionRef<EngineHealth>,
): TokenEngine => {
  const { requests } = supervisor;
  const execute = (create: (sequence: number) => EngineRun): Effect.Effect<void, EngineFailure> =>
    Effect.suspend(() =>
      supervisor.refusal === undefined ? requests.follow(create) : Effect.fail(supervisor.refusal),
    );
  return {
    generate: (request, onEvent) => {
      const run = Effect.flatMap(Effect.all([spanWriter, Clock.currentTimeMillis]), ([write, now]) =>
        execute((sequence) => {
          const generation = new GenerationRun(request, sequence, onEvent);
          return write === undefined ? generation : new TracedRun(generation, write, now);
        }),
      );
      return request.constraint === undefined ? run : Effect.andThen(workerVocabulary.prepare, run);
    },
    embed: (request, onAdmitted) =>
      Effect.suspend(() => {
        let run: EmbeddingRun | undefined;
        return Effect.map(
          execute((sequence) => (run = new EmbeddingRun(request, sequence, onAdmitted))),
          () => run?.vector ?? new Float32Array(),
        );
      }),
    clearPrefixes: (selection) => supervisor.prefixes.clear(selection),
    cancel: (id) => Effect.sync(() => requests.cancel(id)),
    health: SubscriptionRef.changes(health),
    failure: supervisor.failure,
    status: Effect.sync(() => supervisor.status),
  };
};
