/**
 * Runs the items of jobs on this host: takes items whose turn it is, at a lower priority than interactive calls, and no
 * more than it can run.
 */
import { Cause, Effect, FiberMap, Queue, type Scope } from "effect";

import { elapsedMs } from "../domain/elapsed.ts";
import type { JobNotFound, StoreFailure } from "../domain/errors.ts";
import type { Admission } from "../admission/Admission.ts";
import type { Models } from "../models/Models.ts";
import type { Generations } from "../pipeline/Generations.ts";
import { type ModelSituation, planTurn } from "./plan-turn.ts";
import { makeReports } from "./Reports.ts";
import { runItem } from "./run-item.ts";
import type { Signals } from "./Signals.ts";
import { pauseMsOf } from "./store-failure.ts";
import type { StoreAccess } from "./StoreAccess.ts";
import { endLongWaits, keepHouse, sayAlive, sayGone } from "./store/keep-house.ts";
import { isShared } from "./store/open-store.ts";
import { endedJobs } from "./store/read-jobs.ts";
import { handBack } from "./store/settle-items.ts";
import { type Lane, listLanes, type TakenItem, takeItems } from "./store/take-items.ts";

export interface Runner {
  /** There may be something to run. */
  readonly wake: () => void;
  /** Ends the running items of a job that is over. */
  readonly stop: (jobId: string) => Effect.Effect<void>;
  readonly running: () => number;
}

export interface RunnerServices {
  readonly store: StoreAccess["Service"];
  readonly generations: Generations["Service"];
  readonly models: Models["Service"];
  readonly admission: Admission["Service"];
  readonly signals: Signals;
  readonly settings: { readonly store: string; readonly parallel: number };
}

/** How often it looks for changes by other hosts, clocks and engines. */
const lookMs = 1_000;
const aliveMs = 3_000;
/** A place may stay free for this long while other items run. */
const gatherMs = 10;
/**
 * How often it looks for items that would be forgotten: taken but not run, because the store's answer was lost, or
 * postponed for too long.
 */
const leftMs = 5_000;
/** For a store without other hosts: the host's name has to be known for an hour. */
const aloneMs = 600_000;
/** A model that interactive calls used so lately is not evicted for an item. */
const missedForMs = 60_000;

interface Running {
  readonly item: TakenItem;
  readonly tenant: string;
  readonly key: string;
}

export const makeRunner = (services: RunnerServices): Effect.Effect<Runner, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { store, generations, models, admission, signals, settings } = services;
    const wakes = yield* Queue.sliding<void>(1);
    const wake = (): void => void Queue.offerUnsafe(wakes, undefined);
    /** By job, index and attempt. */
    const running = new Map<string, Running>();
    /** Lanes without ready items, and until when they are skipped. */
    const empty = new Map<string, number>();
    const times = new ModelTimes();

    // Running items are returned to the store when this scope closes, after the fibers have ended.
    yield* Effect.addFinalizer(() =>
      store.condition() === undefined
        ? Effect.void
        : store
            .use(async ({ database, boss }) => {
              await handBack(database, boss, { only: store.host.id, running: [] });
              await sayGone(database, store.host);
            })
            .pipe(
              Effect.timeout(5_000),
              // A failure of the store must not prevent the service from ending; the items are returned later.
              Effect.catchCause((cause) => Effect.logWarning("jobs: items were not given back", Cause.squash(cause))),
            ),
    );
    const fibers = yield* FiberMap.make<string>();
    const reports = yield* makeReports(store, ({ item }) => {
      signals.changed(item.jobId);
      empty.delete(item.queue);
      wake();
    });

    const start = (item: TakenItem, lane: Lane, key: string) => {
      const id = `${item.jobId}/${item.index}/${item.attempt}`;
      running.set(id, { item, tenant: lane.tenant, key });
      signals.changed(item.jobId);
      const work = runItem({ generations, store, reports }, item).pipe(
        Effect.tapCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("an item could not be run", cause),
        ),
        Effect.ensuring(
          Effect.sync(() => {
            running.delete(id);
            wake();
          }),
        ),
      );
      return FiberMap.run(fibers, id, work);
    };

    const stop = (jobId: string) =>
      Effect.suspend(() => {
        const ids = [...running].flatMap(([id, { item }]) => (item.jobId === jobId ? [id] : []));
        return Effect.forEach(ids, (id) => FiberMap.remove(fibers, id), { discard: true, concurrency: "unbounded" });
      });

    const situationOf = Effect.fnUntraced(function* (
      name: string,
      key: string,
      busy: ReadonlySet<string>,
      now: number,
    ) {
      const own = [...running.values()].filter((each) => each.key === key).length;
      const status = yield* Effect.option(models.get(name));
      const isKnown = status._tag === "Some";
      const isResident = !isKnown || isInMemory(status.value.state);
      const fit = isResident ? undefined : yield* Effect.option(models.fit(name));
      const hasRoom =
        fit !== undefined &&
        // A model that cannot be loaded at all fails its items immediately, with the reason.
        (fit._tag === "None" ||
          (fit.value.fits &&
            fit.value.evict.every((id) => !busy.has(id) && admission.interactiveQuietMs(id, now) >= missedForMs)));
      const isInteractive = isKnown && admission.interactiveQuietMs(key, now) < yieldMs;
      return { isResident, hasRoom, isInteractive, running: own, ...times.of(key, own, !isResident && !hasRoom, now) };
    });

    const keyOf = (name: string) =>
      models.get(name).pipe(
        Effect.map(({ facts }) => facts.id),
        Effect.orElseSucceed(() => `unknown ${name}`),
      );

    let leftAt = 0;
    const turn = Effect.gen(function* () {
      // The service is ending: remaining items are left to its next start or to another host.
      if (admission.refusesWaiting()) return;
      const now = yield* elapsedMs;
      if (now >= leftAt) {
        yield* store.use(async ({ database, boss }) => {
          await handBack(database, boss, { only: store.host.id, running: [...running.keys()] });
          // Only if there is nothing to take, because it reads all waiting items.
          if (empty.size > 0) await endLongWaits(database);
        });
        leftAt = now + leftMs;
      }
      const lanes = yield* store.use(({ database }) => listLanes(database));
      for (const [queue, until] of empty) if (until <= now) empty.delete(queue);
      const keys = new Map<string, string>();
      for (const { model } of lanes) if (!keys.has(model)) keys.set(model, yield* keyOf(model));
      const ready = lanes
        .filter(({ queue }) => !empty.has(queue))
        .map((lane) => ({ ...lane, key: keys.get(lane.model) ?? lane.model }));
      const busy = new Set([...running.values()].map(({ key }) => key));
      for (const { key } of ready) busy.add(key);
      const situations = new Map<string, ModelSituation>();
      for (const { model, key } of ready) {
        if (!situations.has(key)) situations.set(key, yield* situationOf(model, key, busy, now));
      }
      times.forget(new Set([...situations.keys(), ...busy]));
      const { waiting: loadsWaiting } = yield* models.pool;
      const runningOf = new Map<string, number>();
      for (const { tenant } of running.values()) runningOf.set(tenant, (runningOf.get(tenant) ?? 0) + 1);
      const picks = planTurn({ lanes: ready, models: situations, runningOf, parallel: settings.parallel, now });
      for (const { lane, key, count } of picks) {
        // A load waits for models that are in use, so they get no more items.
        if (loadsWaiting > 0 && situations.get(key)?.isResident === true && !key.startsWith("unknown ")) continue;
        const taken = yield* store
          .use<ReadonlyArray<TakenItem>, JobNotFound>(({ database, boss }) =>
            takeItems(database, boss, store.host, lane, count),
          )
          .pipe(
            // The job was deleted meanwhile.
            Effect.catchTag("JobNotFound", () => Effect.succeed<ReadonlyArray<TakenItem>>([])),
          );
        if (taken.length === 0) empty.set(lane.queue, now + lookMs);
        for (const item of taken) yield* start(item, lane, key);
        // If as many items as requested were found, there may be more.
        if (taken.length > 0) wake();
      }
    });

    const stopEnded = Effect.gen(function* () {
      const jobIds = [...new Set([...running.values()].map(({ item }) => item.jobId))];
      if (jobIds.length === 0) return;
      for (const jobId of yield* store.use(({ database }) => endedJobs(database, jobIds))) {
        yield* stop(jobId);
        signals.changed(jobId);
      }
    });

    const hasOthers = isShared(settings.store);
    const house = store
      .use(async ({ database, boss }) => {
        const ended = await keepHouse(database, boss);
        if (hasOthers) await handBack(database, boss, { hosts: "over" });
        return ended;
      })
      .pipe(
        Effect.map((ended) => {
          for (const jobId of ended) signals.changed(jobId);
        }),
      );

    /** Repeats a round for ever, even if one fails. */
    const loop = (what: string, round: Effect.Effect<void, StoreFailure>, pause: Effect.Effect<unknown>) =>
      round.pipe(
        Effect.catch((error) =>
          Effect.andThen(
            Effect.logWarning(`jobs: ${what} waits for the store: ${error.message}`),
            Effect.sleep(pauseMsOf(error)),
          ),
        ),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.interrupt
            : Effect.logWarning(`jobs: ${what} did not succeed and is tried again`, Cause.squash(cause)).pipe(
                Effect.andThen(Effect.sleep(lookMs)),
              ),
        ),
        Effect.andThen(pause),
        Effect.forever,
      );

    const woken = Effect.raceFirst(Queue.take(wakes), Effect.sleep(lookMs));
    /** While others run, a place may stay free for a moment: what ends soon after is replaced in the same transaction. */
    const gathered = Effect.suspend(() =>
      running.size === 0 ? Effect.void : Effect.andThen(Effect.sleep(gatherMs), Queue.clear(wakes)),
    );
    const loops = Effect.all(
      [
        loop("taking items", turn, Effect.andThen(woken, gathered)),
        loop("looking for jobs that ended", stopEnded, Effect.sleep(lookMs)),
        loop("keeping house", house, Effect.sleep(lookMs)),
        loop(
          "saying that this host is alive",
          Effect.asVoid(store.use(({ database }) => sayAlive(database, store.host))),
          Effect.sleep(hasOthers ? aliveMs : aloneMs),
        ),
      ],
      { concurrency: "unbounded", discard: true },
    );
    yield* Effect.forkScoped(Effect.andThen(store.opened, loops));
    if (store.isThere) {
      const open = store.use(() => Promise.resolve());
      yield* Effect.forkScoped(
        loop("opening the store", open, Effect.sleep(lookMs)).pipe(Effect.raceFirst(store.opened)),
      );
    }
    return { wake, stop, running: () => running.size };
  });

/** For this long after a model's last interactive call, its items still give way. */
const yieldMs = 2_000;

const isInMemory = (state: string): boolean => state === "active" || state === "loading";

/** Since when each model has had its turn, or has been waiting for it. */
class ModelTimes {
  private readonly turnSince = new Map<string, number>();
  private readonly waitingSince = new Map<string, number>();

  of(key: string, running: number, waits: boolean, now: number): Pick<ModelSituation, "turnSince" | "waitingSince"> {
    if (waits) {
      this.turnSince.delete(key);
      if (!this.waitingSince.has(key)) this.waitingSince.set(key, now);
    } else {
      this.waitingSince.delete(key);
      if (running > 0 && !this.turnSince.has(key)) this.turnSince.set(key, now);
    }
    return { turnSince: this.turnSince.get(key), waitingSince: this.waitingSince.get(key) };
  }

  forget(kept: ReadonlySet<string>): void {
    for (const times of [this.turnSince, this.waitingSince]) {
      for (const key of times.keys()) if (!kept.has(key)) times.delete(key);
    }
  }
}
