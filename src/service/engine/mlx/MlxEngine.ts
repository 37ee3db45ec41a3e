/**
 * A model in an engine process of its own, supervised: ready once its model has agreed with itself, watched by what it delivers, started
 * anew with growing pauses when it dies. What had not streamed yet is tried once more on the next process (Runs.ts); what
 * had is lost and says so. An engine that cannot be started any more is given up: its owner is told why.
 */
import { Deferred, Effect, Exit, Layer, Result, type Scope, Stream, SubscriptionRef } from "effect";

import { EngineConfig, type EngineSettings } from "../../config/EngineConfig.ts";
import {
  AdapterBroken,
  EngineLost,
  EngineRestarting,
  EngineStartFailed,
  EngineUnavailable,
  InsufficientMemory,
  InvalidField,
  ModelBroken,
  type ModelChanged,
  OutOfMemory,
} from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import type { Vocabulary } from "../../prompt/Vocabulary.ts";
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
  type EngineDevice,
  type EngineEvent,
  type EngineFailure,
  type EngineFault,
  type EngineHealth,
  type EngineRequest,
  Engines,
} from "../Engine.ts";
import { EmbeddingRun } from "./EmbeddingRun.ts";
import { GenerationRun } from "./GenerationRun.ts";
import type { ProcessEnd } from "./last-words.ts";
import { Runs } from "./Runs.ts";
import { createVocabularyMessage } from "./vocabulary.ts";
import { Watchdog } from "./Watchdog.ts";
import { spawnWorker, type WorkerProcess } from "./WorkerProcess.ts";

/** The mlx driver. */
export const layer: Layer.Layer<Engines, never, EngineConfig> = Layer.effect(
  Engines,
  Effect.map(EngineConfig, (config) => Engines.of({ start: (...model) => startEngine(config, ...model) })),
);

const startEngine = Effect.fn("MlxEngine.start")(function* (
  settings: EngineSettings,
  facts: ModelFacts,
  vocabulary: Vocabulary,
  drafting: Drafting,
  unchanged: Effect.Effect<void, ModelChanged>,
) {
  const health = yield* SubscriptionRef.make<EngineHealth>("restarting");
  const engine = new MlxEngine({ facts, vocabulary, drafting, unchanged, settings }, health);
  yield* Effect.forkScoped(engine.supervise);
  yield* Effect.forkScoped(engine.watch);
  yield* Effect.raceFirst(engine.ready, Effect.flip(engine.failure));
  return engine;
});

/**
 * How a process's life went. `refusing`: it found the checkpoint unusable, which another process would find too.
 */
interface Death extends ProcessEnd {
  readonly phase: "refusing" | "loading" | "serving";
  /** The checkpoint is another one than it was: no process may serve it as this. */
  readonly changed?: ModelChanged;
}

interface MlxEngineOptions {
  readonly facts: ModelFacts;
  readonly vocabulary: Vocabulary;
  readonly drafting: Drafting;
  readonly unchanged: Effect.Effect<void, ModelChanged>;
  readonly settings: EngineSettings;
}

const noMemory: WorkerMemory = { residentBytes: 0, kvCacheBytes: 0, prefixCacheBytes: 0 };

interface Waiting {
  readonly run: GenerationRun | EmbeddingRun;
  readonly settle: (exit: Exit.Exit<void, EngineFailure>) => void;
}

class MlxEngine implements Engine {
  private readonly facts: ModelFacts;
  private readonly vocabulary: Vocabulary;
  private readonly drafting: Drafting;
  private readonly unchanged: Effect.Effect<void, ModelChanged>;
  private readonly settings: EngineSettings;
  /** Every request that was taken and has not ended. */
  private readonly runs = new Runs<Waiting>(
    (own) => this.guarded(own, () => this.submit(own.run)),
    (sequence) => this.take(sequence),
  );
  private readonly watchdog = new Watchdog(() => performance.now(), 2 * watchMs);
  /** Undefined while it is being (re)started. */
  private worker: WorkerProcess | undefined;
  /** Whether it was asked for a sign of life and has not given one yet. */
  private pinged = false;
  /** Made for the first request that has a constraint. */
  private readonly vocabularyMessage: Effect.Effect<VocabularyMessage>;
  private knownVocabulary: VocabularyMessage | undefined;
  /** The process that has it. */
  private vocabularyAt: WorkerProcess | undefined;
  private memory: WorkerMemory = noMemory;
  /** Of the next process. What has been too much for the machine once is done in smaller parts. */
  private sliceTokens: number;
  private device: EngineDevice | undefined;
  private restarts = 0;
  /** When the process that runs, or ran last, became ready. */
  private readyAt = 0;
  /** Deaths in a row without a token, or a long life, between them. */
  private deaths = 0;
  /** Of these, those that no single request can be blamed for. */
  private failures = 0;
  /** Processes in a row that died while they loaded. */
  private failedStarts = 0;
  private readonly firstReady = Deferred.makeUnsafe<void>();
  private readonly givenUp = Deferred.makeUnsafe<EngineFault>();
  private fault: EngineFault | undefined;
  private readonly healthRef: SubscriptionRef.SubscriptionRef<EngineHealth>;

  constructor(
    { facts, vocabulary, drafting, unchanged, settings }: MlxEngineOptions,
    healthRef: SubscriptionRef.SubscriptionRef<EngineHealth>,
  ) {
    this.facts = facts;
    this.vocabulary = vocabulary;
    this.drafting = drafting;
    this.unchanged = unchanged;
    this.settings = settings;
    this.sliceTokens = settings.prefillSliceTokens;
    this.healthRef = healthRef;
    this.vocabularyMessage = Effect.runSync(Effect.cached(createVocabularyMessage(vocabulary)));
  }

  readonly generate = (
    request: EngineRequest,
    onEvent: (event: EngineEvent) => void,
  ): Effect.Effect<void, EngineFailure> =>
    request.constraint === undefined
      ? this.start(request, onEvent)
      : Effect.flatMap(this.vocabularyMessage, (message) => {
          this.knownVocabulary = message;
          return this.start(request, onEvent);
        });

  private start(request: EngineRequest, onEvent: (event: EngineEvent) => void): Effect.Effect<void, EngineFailure> {
    return this.execute((sequence) => new GenerationRun(request, sequence, this.vocabulary, onEvent));
  }

  readonly embed = (request: EngineEmbedding, onAdmitted?: () => void): Effect.Effect<Float32Array, EngineFailure> =>
    Effect.suspend(() => {
      let run: EmbeddingRun | undefined;
      return Effect.map(
        this.execute((sequence) => (run = new EmbeddingRun(request, sequence, onAdmitted))),
        () => run?.vector ?? new Float32Array(),
      );
    });

  private execute(create: (sequence: number) => Waiting["run"]): Effect.Effect<void, EngineFailure> {
    return Effect.callback<void, EngineFailure>((resume) => {
      const refusal = this.refusal;
      if (refusal !== undefined) {
        resume(Effect.fail(refusal));
        return Effect.void;
      }
      const own: Waiting = { run: create(this.runs.nextSequence()), settle: (exit) => resume(exit) };
      this.runs.add(own);
      return Effect.sync(() => this.drop(own));
    });
  }

  /** Why nothing new is taken; undefined: it is. */
  private get refusal(): EngineFault | EngineRestarting | undefined {
    if (this.fault !== undefined) return this.fault;
    return this.worker === undefined && this.failures >= maxFailures ? this.restarting : undefined;
  }

  private get restarting(): EngineRestarting {
    return new EngineRestarting({ model: this.facts.id, retryAfterMs: backoffMs(this.deaths) });
  }

  readonly cancel = (id: string): Effect.Effect<boolean> =>
    Effect.sync(() => {
      for (const own of this.runs) {
        const { run } = own;
        if (run instanceof EmbeddingRun || run.request.id !== id) continue;
        this.take(run.sequence);
        this.guarded(own, () => run.end("cancelled"));
        this.settle(own, Exit.void);
        return true;
      }
      return false;
    });

  readonly health: Stream.Stream<EngineHealth> = Stream.suspend(() => SubscriptionRef.changes(this.healthRef));

  /** Succeeds once the first process is ready. */
  readonly ready: Effect.Effect<void> = Deferred.await(this.firstReady);

  readonly failure: Effect.Effect<EngineFault> = Deferred.await(this.givenUp);

  readonly status = Effect.sync(() => ({ ...this.memory, device: this.device, restarts: this.restarts }));

  /** Runs one process after another until interrupted, or until it makes no sense any more. */
  readonly supervise: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (;;) {
      const death = yield* Effect.scoped(this.live);
      this.worker = undefined;
      this.memory = noMemory;
      this.failedStarts = death.phase === "serving" ? 0 : this.failedStarts + 1;
      const fault = this.faultOf(death);
      yield* Effect.annotateLogs(Effect.logError(fault === undefined ? "engine lost" : "engine given up"), {
        model: this.facts.id,
        phase: death.phase,
        how: death.how,
        running: this.runs.size,
      });
      // An engine that was well for long, though nobody asked it for a token, is no engine that dies in a row.
      if (death.phase === "serving" && performance.now() - this.readyAt > longLifeMs) this.deaths = this.failures = 0;
      this.deaths += 1;
      if (!this.runs.isTrial) this.failures += 1;
      if (death.phase === "serving" && (death.cause === "memory" || death.cause === "gpu")) {
        this.sliceTokens = smaller(this.sliceTokens);
      }
      this.bury(death.reason);
      if (fault !== undefined) return this.giveUp(fault);
      this.restarts += 1;
      yield* SubscriptionRef.set(this.healthRef, "restarting");
      yield* Effect.sleep(backoffMs(this.deaths));
    }
  });

  /** One process from start to death. */
  private readonly live: Effect.Effect<Death, never, Scope.Scope> = Effect.gen({ self: this }, function* () {
    const changed = (error: ModelChanged): Death => ({
      phase: "loading",
      how: "its files have changed",
      cause: undefined,
      changed: error,
    });
    const before = yield* Effect.result(this.unchanged);
    if (Result.isFailure(before)) return changed(before.failure);
    const death = yield* Deferred.make<Death>();
    const ready = yield* Deferred.make<void>();
    const die = (how: Death): void => void Deferred.doneUnsafe(death, Exit.succeed(how));
    let phase: Death["phase"] = "loading";
    const worker = yield* spawnWorker(this.settings.environment, {
      onMessage: (message) => {
        this.pinged = false;
        this.watchdog.heard();
        switch (message.type) {
          case "ready":
            phase = "serving";
            // First: whoever waits for it goes on at once.
            this.memory = message.memory;
            this.device = message.device;
            Deferred.doneUnsafe(ready, Exit.void);
            break;
          case "step":
            this.onStep(message);
            break;
          case "pong":
            break;
          case "load-failed":
            die(
              message.kind === "memory"
                ? { phase: "loading", how: message.reason, cause: "memory" }
                : { phase: "refusing", how: message.reason, cause: undefined },
            );
            break;
          case "crash":
            die({ phase, how: message.reason, cause: undefined });
            break;
        }
      },
      onExit: ({ how, cause, ...told }) =>
        die({
          ...told,
          phase,
          how: phase === "loading" && cause !== "no-mlx" ? `the engine ended with ${how} while loading` : how,
          cause,
        }),
    });
    const { loadTimeoutMs, speculation } = this.settings;
    worker.send({
      type: "load",
      directory: this.facts.directory,
      limits: { ...limitsOf(this.settings), prefillSliceTokens: this.sliceTokens },
      speculation: this.drafting.allowed ? speculation : "off",
      ...(this.drafting.directory !== undefined && { draftDirectory: this.drafting.directory }),
    });
    const loaded = Deferred.await(ready).pipe(
      Effect.timeoutOrElse({
        duration: loadTimeoutMs,
        orElse: () =>
          Effect.sync(() => die({ phase, how: `loading took more than ${loadTimeoutMs} ms`, cause: undefined })),
      }),
      // What it has read is what was there before and after.
      Effect.andThen(this.unchanged),
      Effect.andThen(Effect.suspend(() => (phase === "serving" ? this.begin(worker) : Effect.void))),
      Effect.catch((error) => Effect.sync(() => die(changed(error)))),
    );
    yield* Effect.race(Deferred.await(death), Effect.andThen(loaded, Effect.never));
    return yield* Deferred.await(death);
  });

  private begin(worker: WorkerProcess): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.worker = worker;
      this.pinged = false;
      this.watchdog.reset();
      this.readyAt = performance.now();
      this.runs.begin();
      Deferred.doneUnsafe(this.firstReady, Exit.void);
      return SubscriptionRef.set(this.healthRef, "serving");
    });
  }

  /**
   * Why the engine is given up after this death; undefined: it is started anew. A checkpoint that is refused is refused
   * again. Of a first start that failed its caller decides, of later ones the number.
   */
  private faultOf({ phase, how: cause, cause: kind, changed }: Death): EngineFault | undefined {
    const model = this.facts.id;
    if (changed !== undefined) return changed;
    if (phase === "refusing") return new ModelBroken({ model, cause });
    if (kind === "no-mlx") return new EngineUnavailable({ model, engine: this.facts.engine, cause });
    const isFirst = !Deferred.isDoneUnsafe(this.firstReady);
    if (!isFirst && this.failedStarts < maxFailedStarts) return undefined;
    return kind === "memory"
      ? new OutOfMemory({ model, cause, retryAfterMs: retryStartAfterMs })
      : new EngineStartFailed({ model, cause, retryAfterMs: retryStartAfterMs });
  }

  private giveUp(fault: EngineFault): void {
    this.fault = fault;
    for (const own of this.runs) this.settle(own, Exit.fail(fault));
    Deferred.doneUnsafe(this.givenUp, Exit.succeed(fault));
  }

  /** Looks after the process: one that does not get on is ended, and its death dealt with like any other. */
  readonly watch: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forever(Effect.andThen(Effect.sleep(watchMs), this.look)),
  );

  private readonly look: Effect.Effect<void> = Effect.suspend(() => {
    const { worker } = this;
    this.watchdog.tick();
    if (worker === undefined) return Effect.void;
    if (!this.pinged) worker.send({ type: "ping" });
    this.pinged = true;
    const { stallMs, unresponsiveMs } = this.settings;
    const { stalledMs } = this.watchdog;
    const health: EngineHealth = stalledMs > Math.min(unresponsiveMs, stallMs) ? "stalled" : "serving";
    if (stalledMs > stallMs) worker.end();
    else for (const sequence of this.watchdog.stuck(stallMs)) this.endStuck(sequence);
    return SubscriptionRef.get(this.healthRef).pipe(
      Effect.flatMap((before) => (before === health ? Effect.void : this.tellHealth(health, stalledMs))),
    );
  });

  private tellHealth(health: EngineHealth, stalledMs: number): Effect.Effect<void> {
    const told =
      health === "stalled" ? Effect.logWarning("engine does not get on") : Effect.logInfo("engine gets on again");
    return Effect.annotateLogs(told, { model: this.facts.id, stalledMs, running: this.runs.size }).pipe(
      Effect.andThen(SubscriptionRef.set(this.healthRef, health)),
    );
  }

  /** The others get on: it ends alone. */
  private endStuck(sequence: number): void {
    const own = this.runs.find(sequence);
    this.take(sequence);
    if (own !== undefined) this.settle(own, Exit.fail(new EngineLost({ model: this.facts.id, how: "stalled" })));
  }

  private submit(run: Waiting["run"]): void {
    const { worker, knownVocabulary } = this;
    const { submission } = run;
    this.watchdog.given(run.sequence);
    if (submission.constraint !== undefined && knownVocabulary !== undefined && this.vocabularyAt !== worker) {
      this.vocabularyAt = worker;
      worker?.send(knownVocabulary);
    }
    worker?.send(submission);
  }

  private drop(own: Waiting): void {
    if (this.runs.find(own.run.sequence) !== own) return;
    this.take(own.run.sequence);
    this.runs.remove(own);
  }

  /** The process drops a sequence by its next step. */
  private take(sequence: number): void {
    this.watchdog.ended(sequence);
    this.worker?.send({ type: "cancel", sequence });
  }

  private onStep(message: StepMessage): void {
    this.memory = message.memory;
    for (const event of message.events) {
      // What was dropped may still be spoken of for a step.
      const own = this.runs.find(event.sequence);
      if (own !== undefined) this.guarded(own, () => this.onEvent(own, event));
    }
  }

  /**
   * What is thrown while one request is worked on (by its validator, its reader, whatever takes its events) ends this
   * request with a defect, which is logged where it is told, and leaves the event loop and the other requests alone.
   */
  private guarded(own: Waiting, work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.take(own.run.sequence);
      this.settle(own, Exit.die(cause));
    }
  }

  private onEvent(own: Waiting, event: SequenceEvent): void {
    if (event.type === "admitted") this.watchdog.admitted(event.sequence);
    else this.watchdog.progressed(event.sequence);
    const { run } = own;
    if (run instanceof EmbeddingRun) return this.onEmbeddingEvent(own, run, event);
    switch (event.type) {
      case "admitted":
        run.admit(event.cachedPromptTokens);
        break;
      case "progress":
        break;
      case "prompt":
        run.promptLogprobs(event.logprobs);
        break;
      case "drafted":
        run.draft(event.tokens);
        break;
      case "token":
        this.deaths = this.failures = 0;
        if (!this.goesOn(own, run, event.tokenId) || !this.runs.passes(own)) break;
        if (!run.token(event.tokenId, event.logprobs, event.drafted)) break;
        this.take(event.sequence);
        this.settle(own, Exit.void);
        break;
      case "finished":
        run.end(event.reason);
        this.settle(own, Exit.void);
        break;
      case "unconstrainable": {
        // Only calls that have to be made may have the marks of calls.
        const field = run.request.constraint?.markers === true ? "task.chat.tools" : "task.constraint";
        const violations = [{ field, description: event.reason }];
        this.settle(own, Exit.fail(new InvalidField({ violations })));
        break;
      }
      case "refused":
        this.refuse(own, event);
        break;
      case "embedding":
        break;
      case "adapter-failed": {
        const { id: adapter = "" } = run.request.adapter ?? {};
        const broken = new AdapterBroken({ adapter, model: this.facts.id, cause: event.reason });
        this.settle(own, Exit.fail(broken));
        break;
      }
    }
  }

  /** False for a token that the caller has, or is to have, from a process before. */
  private goesOn(own: Waiting, run: GenerationRun, tokenId: number): boolean {
    const found = run.repeats(tokenId);
    if (found === "other") {
      this.take(run.sequence);
      this.settle(own, Exit.fail(new EngineLost({ model: this.facts.id, deaths: run.deaths })));
    }
    return found === "new";
  }

  private onEmbeddingEvent(own: Waiting, run: EmbeddingRun, event: SequenceEvent): void {
    if (event.type === "admitted") run.onAdmitted();
    if (event.type === "refused") this.refuse(own, event);
    if (event.type !== "embedding") return;
    this.deaths = this.failures = 0;
    run.vector = event.vector;
    this.settle(own, Exit.void);
  }

  private refuse(own: Waiting, { neededBytes, availableBytes }: Extract<SequenceEvent, { type: "refused" }>): void {
    this.settle(own, Exit.fail(new InsufficientMemory({ neededBytes, availableBytes })));
  }

  /** Decides what becomes of the requests of a dead process. */
  private bury(reason: string | undefined): void {
    const model = this.facts.id;
    const why = reason === undefined ? {} : { reason };
    for (const own of this.runs.bury()) {
      this.settle(own, Exit.fail(new EngineLost({ model, how: "died", ...why, deaths: own.run.deaths })));
    }
    if (this.failures < maxFailures) return;
    for (const own of this.runs) this.settle(own, Exit.fail(this.restarting));
  }

  private settle(own: Waiting, exit: Exit.Exit<void, EngineFailure>): void {
    this.watchdog.ended(own.run.sequence);
    this.runs.remove(own);
    own.settle(exit);
  }
}

const limitsOf = (settings: EngineSettings): WorkerLimits => ({
  maxBatch: settings.maxRunning,
  prefillSliceTokens: settings.prefillSliceTokens,
  kvCacheBytes: settings.kvCacheBytes,
  prefixCacheBytes: settings.prefixCacheBytes,
  maxAdapters: settings.maxAdapters,
});

/** What is told of a start that may go better another time. */
const retryStartAfterMs = 5_000;

/** After this many deaths in a row that no request is to blame for nobody is kept waiting any more, while restarts go on. */
const maxFailures = 5;

/** After this many processes in a row that died while loading the engine is given up. */
const maxFailedStarts = 5;

/** A process that has served for this long is not one of a row that dies. */
const longLifeMs = 60_000;

const smaller = (sliceTokens: number): number => Math.max(Math.min(sliceTokens, 32), Math.floor(sliceTokens / 2));

/** How often a process is looked after, and asked for a sign of life. */
const watchMs = 1_000;

/** Before the start after so many deaths in a row without a token between them. */
const backoffMs = (deaths: number): number => Math.min(10_000, 100 * 2 ** deaths);
