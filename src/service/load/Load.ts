/** The load and capacity of the service, for load balancers. */
import { Clock, Context, Deferred, Effect, Layer, Schedule, Stream } from "effect";

import { Admission, type QueueLoad } from "../admission/Admission.ts";
import { AdmissionConfig } from "../config/AdmissionConfig.ts";
import { EngineConfig } from "../config/EngineConfig.ts";
import type { Draining } from "../domain/errors.ts";
import type { ModelState } from "../domain/model.ts";
import { Models } from "../models/Models.ts";
import { Stats } from "../telemetry/Stats.ts";
import { CpuMeter } from "./cpu.ts";
import { Smoothed } from "./smoothed.ts";

interface ModelLoad {
  readonly model: string;
  readonly state: ModelState;
  readonly slots: number;
  readonly running: number;
  readonly waiting: number;
  readonly waitingPromptTokens: number;
  readonly kvCacheBytes: number;
  readonly kvCacheLimitBytes: number;
  readonly prefixCacheBytes: number;
  readonly residentBytes: number;
}

/** Averages of the last seconds: a momentary peak is no reason to send calls elsewhere. */
export interface LoadAverages {
  /** (running + waiting) / slots; above 1 if some wait. */
  readonly utilization: number;
  /** Share of the machine's CPUs in use, 0..1. */
  readonly cpuUtilization: number;
  readonly generationsPerSecond: number;
  /** The part of the requests that failed through the service's fault. */
  readonly failuresPerSecond: number;
}

export interface LoadReport extends LoadAverages {
  readonly draining: boolean;
  /** The models in memory, and those that calls wait for. */
  readonly models: ReadonlyArray<ModelLoad>;
  readonly slots: number;
  readonly running: number;
  readonly waiting: number;
  readonly waitingPromptTokens: number;
  readonly memoryReservedBytes: number;
  readonly memoryBudgetBytes: number;
}

export class Load extends Context.Service<
  Load,
  {
    readonly now: Effect.Effect<LoadReport>;
    /** The part that a plain function can provide, for the end of every call. */
    readonly averages: () => LoadAverages;
    /** The current load, and again after each interval, until `end`. */
    readonly watch: (intervalMs: number) => Stream.Stream<LoadReport, Draining>;
    /**
     * From now on the load is that of a draining service; watches receive it once more and then fail with this error.
     */
    readonly end: (draining: Draining) => Effect.Effect<void>;
  }
>()("mlxd/load/Load") {
  static readonly layer: Layer.Layer<Load, never, Models | Admission | Stats | AdmissionConfig | EngineConfig> =
    Layer.effect(
      Load,
      Effect.gen(function* () {
        const models = yield* Models;
        const admission = yield* Admission;
        const stats = yield* Stats;
        const { maxRunning } = yield* AdmissionConfig;
        const { kvCacheBytes } = yield* EngineConfig;
        const ended = yield* Deferred.make<never, Draining>();
        const averages = new Averages((yield* Clock.Clock).monotonicTimeNanosUnsafe());

        const totals = Effect.map(models.pool, ({ loaded, reservedBytes, budgetBytes }) => ({
          ...sumOf([...admission.load().values()]),
          slots: maxRunning * Math.max(1, loaded),
          memoryReservedBytes: reservedBytes,
          memoryBudgetBytes: budgetBytes,
        }));
        const sample = Effect.gen(function* () {
          const { running, waiting, slots } = yield* totals;
          const nanos = (yield* Clock.Clock).monotonicTimeNanosUnsafe();
          averages.add(nanos, (running + waiting) / slots, endedIn([...(yield* stats.snapshot).values()]));
        });
        yield* Effect.forkScoped(Effect.repeat(sample, Schedule.spaced(sampleEveryMs)));

        const now = Effect.gen(function* () {
          const queues = admission.load();
          const known = yield* models.list;
          return {
            ...(yield* totals),
            ...averages.values,
            draining: Deferred.isDoneUnsafe(ended),
            models: known.flatMap((status): ReadonlyArray<ModelLoad> => {
              const { facts, state, residentBytes, prefixCacheBytes, loadedAt } = status;
              const queue = queues.get(facts.id) ?? empty;
              if (loadedAt === undefined && state !== "loading" && queue.waiting + queue.taken === 0) return [];
              return [
                {
                  model: facts.id,
                  state,
                  slots: maxRunning,
                  running: queue.taken,
                  waiting: queue.waiting,
                  waitingPromptTokens: queue.waitingPromptTokens,
                  kvCacheBytes: status.kvCacheBytes,
                  kvCacheLimitBytes: kvCacheBytes,
                  prefixCacheBytes,
                  residentBytes,
                },
              ];
            }),
          };
        });
        const end = Stream.concat(Stream.fromEffect(now), Stream.fromEffect(Deferred.await(ended)));
        return Load.of({
          now,
          averages: () => averages.values,
          watch: (intervalMs) =>
            Stream.tick(intervalMs).pipe(
              Stream.mapEffect(() => now),
              Stream.interruptWhen(Effect.exit(Deferred.await(ended))),
              Stream.concat(end),
            ),
          end: (draining) => Effect.asVoid(Deferred.fail(ended, draining)),
        });
      }),
    );
}

const sampleEveryMs = 250;
/** Balancers update weights every 5 to 10 s, so the time constant is in between. */
const timeConstantMs = 7_000;

const empty: QueueLoad = { taken: 0, waiting: 0, waitingPromptTokens: 0 };

const sumOf = (queues: ReadonlyArray<QueueLoad>) => ({
  running: queues.reduce((sum, { taken }) => sum + taken, 0),
  waiting: queues.reduce((sum, { waiting }) => sum + waiting, 0),
  waitingPromptTokens: queues.reduce((sum, { waitingPromptTokens }) => sum + waitingPromptTokens, 0),
});

interface Ended {
  readonly all: number;
  readonly failed: number;
}

/** Refused requests took no slot. */
const endedIn = (all: ReadonlyArray<{ succeeded: number; failed: number; cancelled: number }>): Ended => ({
  all: all.reduce((sum, { succeeded, failed, cancelled }) => sum + succeeded + failed + cancelled, 0),
  failed: all.reduce((sum, { failed }) => sum + failed, 0),
});

class Averages {
  private readonly utilization = new Smoothed(timeConstantMs);
  private readonly cpu = new Smoothed(timeConstantMs);
  private readonly generations = new Smoothed(timeConstantMs);
  private readonly failures = new Smoothed(timeConstantMs);
  private readonly meter = new CpuMeter();
  private nanos: bigint;
  private ended: Ended = { all: 0, failed: 0 };

  constructor(nanos: bigint) {
    this.nanos = nanos;
  }

  add(nanos: bigint, utilization: number, ended: Ended): void {
    const elapsedMs = Number(nanos - this.nanos) / 1e6;
    if (elapsedMs <= 0) return;
    this.utilization.add(utilization, elapsedMs);
    this.cpu.add(this.meter.busySinceLast(), elapsedMs);
    this.generations.add((1000 * (ended.all - this.ended.all)) / elapsedMs, elapsedMs);
    this.failures.add((1000 * (ended.failed - this.ended.failed)) / elapsedMs, elapsedMs);
    this.nanos = nanos;
    this.ended = ended;
  }

  get values(): LoadAverages {
    return {
      utilization: this.utilization.value,
      cpuUtilization: this.cpu.value,
      generationsPerSecond: this.generations.value,
      failuresPerSecond: this.failures.value,
    };
  }
}
