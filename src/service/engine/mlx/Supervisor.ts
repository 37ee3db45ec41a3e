/**
 * Keeps a process running for an engine. A process that dies is restarted after growing pauses, one that makes no
 * progress is killed, and the engine is given up when no process can be started any more.
 */
import { type Clock, Deferred, Effect, Exit, SubscriptionRef } from "effect";

import type { EngineSettings } from "../../config/EngineConfig.ts";
import { versions } from "../../config/versions.ts";
import {
  EngineRestarting,
  EngineStartFailed,
  EngineUnavailable,
  ModelBroken,
  type ModelChanged,
  OutOfMemory,
} from "../../domain/errors.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { noMemory, type StepWork, type WorkerMemory } from "../../worker/protocol/from-worker.ts";
import type { LoadMessage } from "../../worker/protocol/to-worker.ts";
import type { EngineFault } from "../engine-failures.ts";
import type { EngineBackend, EngineDevice, EngineHealth, EngineStatus } from "../EngineStatus.ts";
import type { Drafting } from "../Engines.ts";
import type { PrefixUse } from "../PrefixUse.ts";
import type { ComputeTurns, TurnPlace } from "./ComputeTurns.ts";
import { EnginePrefixes } from "./EnginePrefixes.ts";
import type { StepTimes } from "./EngineRun.ts";
import { liveProcess, type ProcessDeath } from "./process-life.ts";
import { RestartHistory } from "../restart-history.ts";
import { RunningRequests } from "./RunningRequests.ts";
import type { WorkerVocabulary } from "./vocabulary.ts";
import { Watchdog } from "./Watchdog.ts";
import type { SpawnWorker, WorkerProcess } from "./WorkerProcess.ts";

export interface SupervisedModel {
  readonly facts: ModelFacts;
  readonly vocabulary: WorkerVocabulary;
  readonly drafting: Drafting;
  /** Fails if the files no longer match the facts. */
  readonly unchanged: Effect.Effect<void, ModelChanged>;
  readonly reservedBytes: number;
  readonly settings: EngineSettings;
  /** Undefined: the process computes whenever it has work. */
  readonly turns: ComputeTurns | undefined;
  readonly spawn: SpawnWorker;
  readonly clock: Clock.Clock;
  readonly health: SubscriptionRef.SubscriptionRef<EngineHealth>;
  /** Called with what each step computed. */
  readonly onWork: (work: StepWork) => void;
  readonly prefixUse: PrefixUse;
}

export class Supervisor {
  /** Every request that was accepted and has not ended. */
  readonly requests: RunningRequests;
  readonly prefixes: EnginePrefixes;
  private readonly model: SupervisedModel;
  private readonly history = new RestartHistory();
  private readonly watchdog: Watchdog;
  /** Undefined while the process is being started or restarted. */
  private worker: WorkerProcess | undefined;
  /** Whether it was pinged and has not answered yet. */
  private pinged = false;
  /** Its process's place among those that compute one at a time. */
  private place: TurnPlace | undefined;
  private memory: WorkerMemory = noMemory;
  private device: EngineDevice | undefined;
  private backend: EngineBackend | undefined;
  /** Prefill slice of the next process. It is halved after a death for lack of memory or in a GPU command. */
  private sliceTokens: number;
  private fault: EngineFault | undefined;
  private readonly firstReady = Deferred.makeUnsafe<void>();
  private readonly givenUp = Deferred.makeUnsafe<EngineFault>();

  constructor(model: SupervisedModel) {
    this.model = model;
    this.sliceTokens = model.settings.prefillSliceTokens;
    this.watchdog = new Watchdog(() => this.now, 2 * watchMs);
    this.prefixes = new EnginePrefixes(model.facts.id, model.prefixUse);
    this.requests = new RunningRequests({
      model: model.facts.id,
      vocabulary: model.vocabulary,
      watchdog: this.watchdog,
      onDelivery: () => this.history.delivered(),
      onChange: () => this.takeTurns(),
    });
  }

  /** Succeeds once the first process is ready. */
  readonly ready: Effect.Effect<void> = Deferred.await(this.firstReady);

  /** Succeeds when the engine has been given up. */
  readonly failure: Effect.Effect<EngineFault> = Deferred.await(this.givenUp);

  get status(): EngineStatus {
    return { ...this.memory, device: this.device, backend: this.backend, restarts: this.history.restarts };
  }

  /** Why no new requests are accepted; undefined if they are. */
  get refusal(): EngineFault | EngineRestarting | undefined {
    if (this.fault !== undefined) return this.fault;
    return this.worker === undefined && this.history.failsAgainAndAgain ? this.restarting : undefined;
  }

  /** Runs one process after another until interrupted or until the engine is given up. */
  readonly supervise: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    for (;;) {
      const death = yield* Effect.ensuring(
        Effect.scoped(Effect.suspend(() => this.live())),
        // Runs when the engine is closed, too.
        Effect.sync(() => this.prefixes.loseProcess()),
      );
      const fault = yield* this.afterDeath(death);
      if (fault !== undefined) return;
      this.history.restarts += 1;
      yield* SubscriptionRef.set(this.model.health, "restarting");
      yield* Effect.sleep(this.history.pauseMs);
    }
  });

  /** Watches the process: one that makes no progress is killed, and its death is handled like any other. */
  readonly watch: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forever(Effect.andThen(Effect.sleep(watchMs), this.look)),
  );

  private live() {
    const { facts, drafting, reservedBytes, settings, spawn, turns, unchanged } = this.model;
    const load: LoadMessage = {
      type: "load",
      directory: facts.directory,
      limits: {
        maxBatch: settings.maxRunning,
        prefillSliceTokens: this.sliceTokens,
        kvCacheBytes: settings.kvCacheBytes,
        prefixCacheBytes: settings.prefixCacheBytes,
        maxAdapters: settings.maxAdapters,
      },
      reservedBytes,
      takesTurns: turns !== undefined,
      weights: settings.weights,
      speculation: drafting.allowed ? settings.speculation : "off",
      ...(drafting.directory !== undefined && { draftDirectory: drafting.directory }),
    };
    return liveProcess(
      { spawn, settings, load, unchanged },
      {
        onSign: () => {
          this.pinged = false;
          this.watchdog.heard();
        },
        onReady: ({ memory, device, mlx }) => {
          this.memory = memory;
          this.device = device;
          this.backend = mlx;
        },
        onStep: ({ memory, events, work, prefixes }) => {
          this.memory = memory;
          this.prefixes.receive(prefixes);
          if (work !== undefined) this.model.onWork(work);
          this.requests.receive(events, work && timesOf(work, this.worker?.pid));
        },
        onPrefixesCleared: (message) => {
          this.memory = message.memory;
          this.prefixes.cleared(message);
        },
        onStarted: (worker) => (this.place = turns && this.joinTurns(turns, worker)),
        onStopped: () => {
          this.watchdog.holdUp();
          this.place?.stopped();
        },
        serve: (worker) => Effect.suspend(() => this.serve(worker)),
      },
    );
  }

  private serve(worker: WorkerProcess): Effect.Effect<unknown> {
    this.worker = worker;
    this.pinged = false;
    this.watchdog.reset();
    this.history.becameReady(this.now);
    this.requests.begin(worker);
    this.prefixes.begin(worker);
    this.takeTurns();
    return this.tellMlx.pipe(
      Effect.andThen(SubscriptionRef.set(this.model.health, "serving")),
      Effect.andThen(Deferred.succeed(this.firstReady, undefined)),
    );
  }

  /** The process wants the turn from the start, because it has to load the model. */
  private joinTurns(turns: ComputeTurns, worker: WorkerProcess): TurnPlace {
    this.watchdog.holdUp();
    const place = turns.join({
      start: () => {
        this.watchdog.goOn();
        worker.send({ type: "start" });
      },
      stop: () => worker.send({ type: "stop" }),
    });
    place.want();
    return place;
  }

  private takeTurns(): void {
    if (this.worker === undefined) return;
    if (this.requests.size > 0) this.place?.want();
    else this.place?.rest();
  }

  /** Logs once for each process which MLX it uses and why. A warning if it is not the binding of this build. */
  private readonly tellMlx = Effect.suspend(() => {
    if (this.backend === undefined) return Effect.void;
    const { version, binding, reason } = this.backend;
    const log = version === versions.mlx ? Effect.logInfo : Effect.logWarning;
    const facts = { model: this.model.facts.id, mlx: version, binding, reason, device: this.device };
    return Effect.annotateLogs(log("engine ready"), facts);
  });

  /**
   * Decides what happens to the engine and its requests. Returns why the engine is given up; undefined if it is
   * restarted.
   */
  private afterDeath(death: ProcessDeath): Effect.Effect<EngineFault | undefined> {
    return Effect.suspend(() => {
      const { requests, history } = this;
      this.worker = undefined;
      this.place?.leave();
      this.place = undefined;
      this.memory = noMemory;
      const running = requests.size;
      history.died(death.phase, requests.isTrial, this.now);
      const fault = this.faultOf(death);
      if (death.phase === "serving" && (death.cause === "memory" || death.cause === "gpu")) {
        this.sliceTokens = smaller(this.sliceTokens);
      }
      requests.loseProcess(death.reason);
      if (history.failsAgainAndAgain) requests.failAll(this.restarting);
      if (fault !== undefined) this.giveUp(fault);
      const { phase, how } = death;
      return Effect.logError(fault === undefined ? "engine lost" : "engine given up").pipe(
        Effect.annotateLogs({ model: this.model.facts.id, phase, how, running }),
        Effect.as(fault),
      );
    });
  }

  /**
   * Why the engine is given up after this death; undefined if it is restarted. A checkpoint that was refused would be
   * refused again. If the first start failed, the caller that loads the model decides; later, the number of failed
   * starts.
   */
  private faultOf({ phase, how: cause, cause: kind, changed }: ProcessDeath): EngineFault | undefined {
    const { id: model, engine } = this.model.facts;
    if (changed !== undefined) return changed;
    if (phase === "refusing") return new ModelBroken({ model, cause });
    if (kind === "no-mlx") return new EngineUnavailable({ model, engine, cause });
    const isFirst = !Deferred.isDoneUnsafe(this.firstReady);
    if (!isFirst && !this.history.cannotStart) return undefined;
    return kind === "memory"
      ? new OutOfMemory({ model, cause, retryAfterMs: retryStartAfterMs })
      : new EngineStartFailed({ model, cause, retryAfterMs: retryStartAfterMs });
  }

  private giveUp(fault: EngineFault): void {
    this.fault = fault;
    this.requests.failAll(fault);
    Deferred.doneUnsafe(this.givenUp, Exit.succeed(fault));
  }

  private readonly look: Effect.Effect<void> = Effect.suspend(() => {
    const { worker } = this;
    this.watchdog.tick();
    if (worker === undefined) return Effect.void;
    if (!this.pinged) worker.send({ type: "ping" });
    this.pinged = true;
    const { stallMs, unresponsiveMs } = this.model.settings;
    const { stalledMs } = this.watchdog;
    const health: EngineHealth = stalledMs > Math.min(unresponsiveMs, stallMs) ? "stalled" : "serving";
    if (stalledMs > stallMs) worker.end();
    else for (const sequence of this.watchdog.stuck(stallMs)) this.requests.endStuck(sequence);
    return SubscriptionRef.get(this.model.health).pipe(
      Effect.flatMap((before) => (before === health ? Effect.void : this.tellHealth(health, stalledMs))),
    );
  });

  private tellHealth(health: EngineHealth, stalledMs: number): Effect.Effect<void> {
    const told =
      health === "stalled" ? Effect.logWarning("engine does not get on") : Effect.logInfo("engine gets on again");
    return Effect.annotateLogs(told, { model: this.model.facts.id, stalledMs, running: this.requests.size }).pipe(
      Effect.andThen(SubscriptionRef.set(this.model.health, health)),
    );
  }

  private get restarting(): EngineRestarting {
    return new EngineRestarting({ model: this.model.facts.id, retryAfterMs: this.history.pauseMs });
  }

  /** Milliseconds of a monotonic clock. */
  private get now(): number {
    return Number(this.model.clock.monotonicTimeNanosUnsafe()) / 1e6;
  }
}

const timesOf = ({ ms, at, rows }: StepWork, pid = 0): StepTimes => ({ pid, from: at - ms, to: at, rows });

/** The retry delay for a failed start that may succeed later. */
const retryStartAfterMs = 5_000;

/** How often the process is checked and pinged. */
const watchMs = 1_000;

const smaller = (sliceTokens: number): number => Math.max(Math.min(sliceTokens, 32), Math.floor(sliceTokens / 2));
