/** Jobs in a store, whose items this host helps to run. */
import { Effect, Layer, Option, Stream } from "effect";

import { Admission } from "../admission/Admission.ts";
import { JobsConfig } from "../config/JobsConfig.ts";
import { CurrentCall } from "../domain/Call.ts";
import type { JobNotFound } from "../domain/errors.ts";
import { Models } from "../models/Models.ts";
import { Generations } from "../pipeline/Generations.ts";
import { itemToStore, jobToStore } from "./asked-items.ts";
import {
  type AppendFailure,
  type CreateFailure,
  Jobs,
  type ReadFailure,
  type Reading,
  type SealFailure,
} from "./Jobs.ts";
import { makeRunner } from "./Runner.ts";
import { Signals } from "./Signals.ts";
import { StoreAccess } from "./StoreAccess.ts";
import { readJob } from "./store/change-job.ts";
import { cancelJob, deleteJob } from "./store/end-job.ts";
import { isShared } from "./store/open-store.ts";
import {
  eventsAfter,
  listItems,
  listJobs,
  outcomesAsFinished,
  outcomesInOrder,
  type Reached,
} from "./store/read-jobs.ts";
import { appendToJob, createJob, readDefaults, sealWhole } from "./store/submit-job.ts";

/** What a follower reads at once. */
interface Found<A> extends Reached {
  readonly read: ReadonlyArray<A>;
}

type Needs = JobsConfig | Generations | Models | Admission;

const layerNoDeps = Layer.effect(
  Jobs,
  Effect.gen(function* () {
    const store = yield* StoreAccess;
    const settings = yield* JobsConfig;
    const signals = new Signals(isShared(settings.store));
    const runner = yield* makeRunner({
      store,
      signals,
      settings,
      generations: yield* Generations,
      models: yield* Models,
      admission: yield* Admission,
    });
    const tenant = Effect.map(CurrentCall, ({ caller }) => caller.tenant);
    const changed = (jobId: string) =>
      Effect.sync(() => {
        signals.changed(jobId);
        runner.wake();
      });

    /** Reads while there is more, and otherwise waits for more. */
    const follow = <A, E>(
      jobId: string,
      from: number,
      read: (from: number) => Effect.Effect<Found<A>, E>,
      placeOf: (last: A) => number,
      waits: boolean,
    ): Stream.Stream<A, E> =>
      Stream.suspend(() => {
        // Of the last read: what comes after it is heard of.
        let listening = signals.listen(jobId);
        let isCaughtUp = false;
        return Stream.paginate(from, (place) =>
          Effect.gen(function* () {
            if (isCaughtUp) yield* listening.change;
            listening.end();
            listening = signals.listen(jobId);
            const { read: found, isEnd, isAll } = yield* read(place);
            isCaughtUp = waits && isAll;
            const last = found.at(-1);
            const goesOn = !isEnd && (waits || last !== undefined);
            return [found, goesOn ? Option.some(last === undefined ? place : placeOf(last)) : Option.none()] as const;
          }),
        ).pipe(Stream.ensuring(Effect.sync(() => listening.end())));
      });

    return Jobs.of({
      create: Effect.fn("Jobs.create")(function* (asked) {
        const { caller } = yield* CurrentCall;
        const job = jobToStore(asked, caller);
        const created = yield* store.use<Awaited<ReturnType<typeof createJob>>, CreateFailure>(({ database, boss }) =>
          createJob(database, boss, job),
        );
        yield* changed(created.job.id);
        return created;
      }),
      defaults: Effect.fn("Jobs.defaults")(function* (jobId) {
        const own = yield* tenant;
        return yield* store.use<string, JobNotFound>(({ database }) => readDefaults(database, own, jobId));
      }),
      append: Effect.fn("Jobs.append")(function* ({ jobId, offset, items, seal }) {
        const piece = { tenant: yield* tenant, jobId, offset, items: items.map(itemToStore), seal };
        const total = yield* store.use<number, AppendFailure>(({ database, boss }) =>
          appendToJob(database, boss, piece),
        );
        yield* changed(jobId);
        return total;
      }),
      seal: Effect.fn("Jobs.seal")(function* (jobId, total) {
        const job = { tenant: yield* tenant, jobId, total };
        const sealed = yield* store.use<Awaited<ReturnType<typeof sealWhole>>, SealFailure>(({ database }) =>
          sealWhole(database, job),
        );
        yield* changed(jobId);
        return sealed;
      }),
      get: Effect.fn("Jobs.get")(function* (jobId) {
        const own = yield* tenant;
        return yield* store.use<Awaited<ReturnType<typeof readJob>>, JobNotFound>(({ database }) =>
          readJob(database, jobId, own),
        );
      }),
      list: Effect.fn("Jobs.list")(function* ({ from, ...listing }) {
        const own = yield* tenant;
        return yield* store.use(({ database }) => listJobs(database, own, { ...listing, before: from }));
      }),
      items: Effect.fn("Jobs.items")(function* ({ from = 0, ...listing }) {
        const own = yield* tenant;
        return yield* store.use<Awaited<ReturnType<typeof listItems>>, JobNotFound>(({ database }) =>
          listItems(database, own, { ...listing, from }),
        );
      }),
      results: ({ jobId, order, after, availableOnly }: Reading) =>
        Stream.unwrap(
          Effect.map(tenant, (own) => {
            const outcomes = order === "index" ? outcomesInOrder : outcomesAsFinished;
            return follow(
              jobId,
              after,
              (from) =>
                store
                  .use<Awaited<ReturnType<typeof outcomes>>, ReadFailure>(({ database }) =>
                    outcomes(database, own, jobId, from),
                  )
                  .pipe(Effect.map(({ results, ...found }) => ({ read: results, ...found }))),
              ({ cursor }) => cursor,
              !availableOnly,
            );
          }),
        ),
      cancel: Effect.fn("Jobs.cancel")(function* (jobId) {
        const own = yield* tenant;
        const job = yield* store.use<Awaited<ReturnType<typeof cancelJob>>, JobNotFound>(({ database }) =>
          cancelJob(database, own, jobId),
        );
        yield* runner.stop(jobId);
        yield* changed(jobId);
        return job;
      }),
      delete: Effect.fn("Jobs.delete")(function* (jobId) {
        const own = yield* tenant;
        yield* store.use<void, JobNotFound>(({ database, boss }) => deleteJob(database, boss, own, jobId));
        yield* runner.stop(jobId);
        yield* changed(jobId);
      }),
      watch: (jobId, after) =>
        Stream.unwrap(
          Effect.map(tenant, (own) =>
            follow(
              jobId,
              after,
              (from) =>
                store
                  .use<Awaited<ReturnType<typeof eventsAfter>>, ReadFailure>(({ database }) =>
                    eventsAfter(database, own, jobId, from),
                  )
                  .pipe(Effect.map(({ events, ...found }) => ({ read: events, ...found }))),
              ({ sequence }) => sequence,
              true,
            ),
          ),
        ),
      storeCondition: store.condition,
      running: runner.running,
    });
  }),
);

export const layer: Layer.Layer<Jobs, never, Needs> = layerNoDeps.pipe(Layer.provide(StoreAccess.layer));
