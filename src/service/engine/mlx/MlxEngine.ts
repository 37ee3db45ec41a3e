/**
 * A model in an engine process of its own, supervised: ready after a warm-up token, watched by the steps it finishes,
 * started anew with backoff when it dies. What had not streamed yet is replayed on the new process; what had is lost and
 * says so.
 */
import { Deferred, Effect, Exit, Layer, Schedule, type Scope } from "effect";

import { EngineConfig, type EngineSettings } from "../../config/EngineConfig.ts";
import {
  AdapterBroken,
  EngineLost,
  EngineRestarting,
  EngineStartFailed,
  InsufficientMemory,
  InvalidField,
  ModelBroken,
} from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import type { Tokenizer } from "../../prompt/Tokenizer.ts";
import type {
  SequenceEvent,
  StepMessage,
  VocabularyMessage,
  WorkerLimits,
  WorkerMemory,
} from "../../worker/protocol.ts";
import {
  type Drafting,
  type Engine,
  type EngineEmbedding,
  type EngineEvent,
  type EngineFailure,
  type EngineRequest,
  Engines,
} from "../Engine.ts";
import { EmbeddingRun } from "./EmbeddingRun.ts";
import { GenerationRun } from "./GenerationRun.ts";
import { createVocabulary } from "./vocabulary.ts";
import { spawnWorker, type WorkerProcess } from "./WorkerProcess.ts";

/** The mlx driver. */
export const layer: Layer.Layer<Engines, never, EngineConfig> = Layer.effect(
  Engines,
  Effect.map(EngineConfig, (config) =>
    Engines.of({ start: (facts, tokenizer, drafting) => startEngine(facts, tokenizer, drafting, config) }),
  ),
);

const startEngine = Effect.fn("MlxEngine.start")(function* (
  facts: ModelFacts,
  tokenizer: Tokenizer,
  drafting: Drafting,
  settings: EngineSettings,
) {
  const engine = new MlxEngine(facts, tokenizer, drafting, settings);
  const first = yield* Deferred.make<void, ModelBroken | EngineStartFailed>();
  yield* Effect.forkScoped(engine.supervise(first));
  yield* Effect.forkScoped(engine.watch);
  yield* Deferred.await(first);
  return engine;
});

/** How a process's life went. */
type Death = { readonly phase: "refusing" | "loading" | "serving"; readonly how: string };

/** Whether the first process came to serve. */
type First = Deferred.Deferred<void, ModelBroken | EngineStartFailed>;

const noMemory: WorkerMemory = { residentBytes: 0, kvCacheBytes: 0, prefixCacheBytes: 0 };

interface Waiting {
  readonly run: GenerationRun | EmbeddingRun;
  readonly settle: (exit: Exit.Exit<void, EngineFailure>) => void;
}

class MlxEngine implements Engine {
  private readonly facts: ModelFacts;
  private readonly tokenizer: Tokenizer;
  private readonly drafting: Drafting;
  private readonly settings: EngineSettings;
  /** Every request that was taken and has not ended, by sequence number. */
  private readonly runs = new Map<number, Waiting>();
  private lastSequence = 0;
  /** Undefined while it is being (re)started. */
  private worker: WorkerProcess | undefined;
  /** Made for the first request that has a constraint. */
  private readonly vocabulary: Effect.Effect<VocabularyMessage>;
  private knownVocabulary: VocabularyMessage | undefined;
  /** The process that has it. */
  private vocabularyAt: WorkerProcess | undefined;
  private memory: WorkerMemory = noMemory;
  private restarts = 0;
  /** Deaths in a row without a token between them. */
  private failures = 0;
  private lastStepAt = 0;

  constructor(facts: ModelFacts, tokenizer: Tokenizer, drafting: Drafting, settings: EngineSettings) {
    this.facts = facts;
    this.tokenizer = tokenizer;
    this.drafting = drafting;
    this.settings = settings;
    this.vocabulary = Effect.runSync(Effect.cached(createVocabulary(tokenizer)));
  }

  readonly generate = (
    request: EngineRequest,
    onEvent: (event: EngineEvent) => void,
  ): Effect.Effect<void, EngineFailure> =>
    request.constraint === undefined
      ? this.start(request, onEvent)
      : Effect.flatMap(this.vocabulary, (vocabulary) => {
          this.knownVocabulary = vocabulary;
          return this.start(request, onEvent);
        });

  private start(request: EngineRequest, onEvent: (event: EngineEvent) => void): Effect.Effect<void, EngineFailure> {
    return this.execute((sequence) => new GenerationRun(request, sequence, this.tokenizer, onEvent));
  }

  readonly embed = (request: EngineEmbedding): Effect.Effect<Float32Array, EngineFailure> =>
    Effect.suspend(() => {
      let run: EmbeddingRun | undefined;
      return Effect.map(
        this.execute((sequence) => (run = new EmbeddingRun(request, sequence))),
        () => run?.vector ?? new Float32Array(),
      );
    });

  private execute(create: (sequence: number) => Waiting["run"]): Effect.Effect<void, EngineFailure> {
    return Effect.callback<void, EngineFailure>((resume) => {
      if (this.worker === undefined && this.failures >= maxFailures) {
        resume(Effect.fail(new EngineRestarting({ model: this.facts.id, retryAfterMs: backoffMs(this.failures) })));
        return Effect.void;
      }
      this.lastSequence += 1;
      const run = create(this.lastSequence);
      this.runs.set(run.sequence, { run, settle: (exit) => resume(exit) });
      this.submit(run);
      return Effect.sync(() => this.drop(run.sequence));
    });
  }

  readonly cancel = (id: string): Effect.Effect<boolean> =>
    Effect.sync(() => {
      for (const { run } of this.runs.values()) {
        if (run instanceof EmbeddingRun || run.request.id !== id) continue;
        this.worker?.send({ type: "cancel", sequence: run.sequence });
        this.guarded(run.sequence, () => run.end("cancelled"));
        this.settle(run.sequence, Exit.void);
        return true;
      }
      return false;
    });

  readonly healthy = Effect.sync(() => this.worker !== undefined && !this.stalled());

  readonly status = Effect.sync(() => ({ ...this.memory, restarts: this.restarts }));

  /** Runs one process after another until interrupted. The first one's fate decides whether the engine exists. */
  readonly supervise = (first: First): Effect.Effect<void> =>
    Effect.gen({ self: this }, function* () {
      for (;;) {
        const death = yield* Effect.scoped(this.live(first));
        this.worker = undefined;
        this.memory = noMemory;
        if (yield* Deferred.fail(first, this.startFailure(death))) return;
        yield* Effect.annotateLogs(Effect.logError("engine lost"), {
          model: this.facts.id,
          ...death,
          running: this.runs.size,
        });
        this.failures += 1;
        this.restarts += 1;
        this.bury();
        yield* Effect.sleep(backoffMs(this.failures));
      }
    });

  /** One process from start to death. */
  private readonly live = (first: First): Effect.Effect<Death, never, Scope.Scope> =>
    Effect.gen({ self: this }, function* () {
      const death = yield* Deferred.make<Death>();
      const ready = yield* Deferred.make<void>();
      const die = (how: Death): void => void Deferred.doneUnsafe(death, Exit.succeed(how));
      let phase: Death["phase"] = "loading";
      const worker = yield* spawnWorker(this.settings.environment, {
        onMessage: (message) => {
          if (message.type === "ready") {
            phase = "serving";
            // First: whoever waits for it goes on at once.
            this.memory = message.memory;
            Deferred.doneUnsafe(ready, Exit.void);
          } else if (message.type === "step") this.onStep(message);
          else die({ phase: message.type === "load-failed" ? "refusing" : phase, how: message.reason });
        },
        onExit: (how) => die({ phase, how: phase === "loading" ? `the engine ended with ${how} while loading` : how }),
      });
      const { loadTimeoutMs, speculation } = this.settings;
      worker.send({
        type: "load",
        directory: this.facts.directory,
        limits: limitsOf(this.settings),
        speculation: this.drafting.allowed ? speculation : "off",
        ...(this.drafting.directory !== undefined && { draftDirectory: this.drafting.directory }),
      });
      const loaded = Deferred.await(ready).pipe(
        Effect.timeoutOrElse({
          duration: loadTimeoutMs,
          orElse: () => Effect.sync(() => die({ phase, how: `loading took more than ${loadTimeoutMs} ms` })),
        }),
        Effect.tap(() =>
          Effect.sync(() => {
            if (phase !== "serving") return;
            this.worker = worker;
            this.lastStepAt = performance.now();
            for (const { run } of this.runs.values()) this.guarded(run.sequence, () => this.submit(run));
            Deferred.doneUnsafe(first, Exit.void);
          }),
        ),
      );
      yield* Effect.race(Deferred.await(death), Effect.andThen(loaded, Effect.never));
      return yield* Deferred.await(death);
    });

  /** A checkpoint that the engine refuses is another matter than a process that was killed, or is too slow. */
  private startFailure({ phase, how: cause }: Death): ModelBroken | EngineStartFailed {
    const model = this.facts.id;
    return phase === "refusing"
      ? new ModelBroken({ model, cause })
      : new EngineStartFailed({ model, cause, retryAfterMs: retryStartAfterMs });
  }

  /** Ends a process that has work and does not get on with it: its death is then dealt with like any other. */
  readonly watch: Effect.Effect<void> = Effect.sync(() => {
    if (this.stalled()) this.worker?.kill();
  }).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.asVoid);

  private stalled(): boolean {
    return this.runs.size > 0 && performance.now() - this.lastStepAt > this.settings.stallMs;
  }

  private submit(run: Waiting["run"]): void {
    // An engine that was idle is not late: its clock starts with its first request.
    if (this.runs.size === 1) this.lastStepAt = performance.now();
    const { worker, knownVocabulary } = this;
    const { submission } = run;
    if (submission.constraint !== undefined && knownVocabulary !== undefined && this.vocabularyAt !== worker) {
      this.vocabularyAt = worker;
      worker?.send(knownVocabulary);
    }
    worker?.send(submission);
  }

  private drop(sequence: number): void {
    if (this.runs.delete(sequence)) this.worker?.send({ type: "cancel", sequence });
  }

  private onStep(message: StepMessage): void {
    this.lastStepAt = performance.now();
    this.memory = message.memory;
    for (const event of message.events) this.guarded(event.sequence, () => this.onEvent(event));
  }

  /**
   * What is thrown while one request is worked on (by its validator, its reader, whatever takes its events) ends this
   * request with a defect, which is logged where it is told, and leaves the event loop and the other requests alone.
   */
  private guarded(sequence: number, work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.worker?.send({ type: "cancel", sequence });
      this.settle(sequence, Exit.die(cause));
    }
  }

  private onEvent(event: SequenceEvent): void {
    // What was dropped may still be spoken of for a step.
    const run = this.runs.get(event.sequence)?.run;
    if (run === undefined) return;
    if (run instanceof EmbeddingRun) return this.onEmbeddingEvent(run, event);
    switch (event.type) {
      case "admitted":
        run.admit(event.cachedPromptTokens);
        break;
      case "prompt":
        run.promptLogprobs(event.logprobs);
        break;
      case "drafted":
        run.draft(event.tokens);
        break;
      case "token":
        this.failures = 0;
        if (!run.token(event.tokenId, event.logprobs, event.drafted)) break;
        this.worker?.send({ type: "cancel", sequence: event.sequence });
        this.settle(event.sequence, Exit.void);
        break;
      case "finished":
        run.end(event.reason);
        this.settle(event.sequence, Exit.void);
        break;
      case "unconstrainable": {
        const violations = [{ field: "task.constraint", description: event.reason }];
        this.settle(event.sequence, Exit.fail(new InvalidField({ violations })));
        break;
      }
      case "refused":
        this.refuse(event);
        break;
      case "embedding":
        break;
      case "adapter-failed": {
        const { id: adapter = "" } = run.request.adapter ?? {};
        const broken = new AdapterBroken({ adapter, model: this.facts.id, cause: event.reason });
        this.settle(event.sequence, Exit.fail(broken));
        break;
      }
    }
  }

  private onEmbeddingEvent(run: EmbeddingRun, event: SequenceEvent): void {
    if (event.type === "refused") this.refuse(event);
    if (event.type !== "embedding") return;
    this.failures = 0;
    run.vector = event.vector;
    this.settle(event.sequence, Exit.void);
  }

  private refuse({ sequence, neededBytes, availableBytes }: Extract<SequenceEvent, { type: "refused" }>): void {
    this.settle(sequence, Exit.fail(new InsufficientMemory({ neededBytes, availableBytes })));
  }

  /** Decides what becomes of the requests of a dead process. */
  private bury(): void {
    for (const { run } of this.runs.values()) {
      run.deaths += 1;
      if (run.streamed || run.deaths > maxReplays) {
        this.settle(run.sequence, Exit.fail(new EngineLost({ model: this.facts.id })));
      } else if (this.failures >= maxFailures) {
        const retryAfterMs = backoffMs(this.failures);
        this.settle(run.sequence, Exit.fail(new EngineRestarting({ model: this.facts.id, retryAfterMs })));
      }
    }
  }

  private settle(sequence: number, exit: Exit.Exit<void, EngineFailure>): void {
    const waiting = this.runs.get(sequence);
    this.runs.delete(sequence);
    waiting?.settle(exit);
  }
}

const limitsOf = (settings: EngineSettings): WorkerLimits => ({
  maxBatch: settings.maxRunning,
  prefillSliceTokens: settings.prefillSliceTokens,
  kvCacheBytes: settings.kvCacheBytes,
  prefixCacheBytes: settings.prefixCacheBytes,
  maxAdapters: settings.maxAdapters,
});

/** A request that was there at this many deaths is likely their cause: it is not given to one more process. */
const maxReplays = 2;

/** What is told of a start that may go better another time. */
const retryStartAfterMs = 5_000;

/** After this many deaths in a row nobody is kept waiting any more, while restarts go on. */
const maxFailures = 5;

/** Before the n-th start in a row that brought no token. */
const backoffMs = (failures: number): number => Math.min(10_000, 100 * 2 ** failures);
