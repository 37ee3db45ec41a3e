/** Writes the outcomes of items to the store: several in one transaction, retried while the store is unavailable. */
import { Deferred, Effect, Queue, Schedule, type Scope } from "effect";

import { pauseMsOf } from "./store-failure.ts";
import type { StoreAccess } from "./StoreAccess.ts";
import { type Report, settleItems } from "./store/settle-items.ts";

interface Waiting {
  readonly report: Report;
  /** Whether it was accepted. */
  readonly written: Deferred.Deferred<boolean>;
}

export interface Reports {
  /** Completes when it has been written: true if it was accepted, false if the item no longer belongs to this host. */
  readonly submit: (report: Report) => Effect.Effect<boolean>;
}

/** Items that end in one step of their engine come one after another: they are written together. */
const gatherMs = 5;

export const makeReports = (
  { use, host }: StoreAccess["Service"],
  onWritten: (report: Report) => void,
): Effect.Effect<Reports, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Queue.unbounded<Waiting>();
    const write = (waiting: ReadonlyArray<Waiting>) =>
      use(({ database, boss }) =>
        settleItems(
          database,
          boss,
          host,
          waiting.map(({ report }) => report),
        ),
      ).pipe(
        Effect.tapError((error) =>
          Effect.andThen(
            Effect.logWarning(`results of jobs wait to be stored: ${error.message}`),
            Effect.sleep(pauseMsOf(error)),
          ),
        ),
        // There are few of them: no new items are taken while the store is unavailable.
        Effect.retry({ schedule: Schedule.forever }),
      );
    const answer = (waiting: ReadonlyArray<Waiting>, counted: ReadonlyArray<boolean>) => {
      for (const [index, { report, written }] of waiting.entries()) {
        Deferred.doneUnsafe(written, Effect.succeed(counted[index] ?? false));
        onWritten(report);
      }
    };
    /** A report that cannot be written does not prevent the others from being written. */
    const writeAlone = (waiting: Waiting) =>
      write([waiting]).pipe(
        Effect.catchCause((cause) =>
          Effect.logError("the outcome of an item cannot be stored", cause).pipe(
            Effect.annotateLogs({ job: waiting.report.item.jobId, index: waiting.report.item.index }),
            Effect.andThen(write([{ ...waiting, report: asDefect(waiting.report) }])),
            Effect.catchCause(() => Effect.succeed([false])),
          ),
        ),
        Effect.map((counted) => answer([waiting], counted)),
      );
    const gather = Effect.gen(function* () {
      const first = yield* Queue.take(queue);
      yield* Effect.sleep(gatherMs);
      return [first, ...(yield* Queue.clear(queue))];
    });
    yield* gather.pipe(
      Effect.flatMap((waiting) =>
        write(waiting).pipe(
          Effect.map((counted) => answer(waiting, counted)),
          Effect.catchCause(() => Effect.forEach(waiting, writeAlone, { discard: true })),
        ),
      ),
      Effect.forever,
      Effect.forkScoped,
    );
    return {
      submit: (report) =>
        Effect.suspend(() => {
          const written = Deferred.makeUnsafe<boolean>();
          Queue.offerUnsafe(queue, { report, written });
          return Deferred.await(written);
        }),
    };
  });

const asDefect = ({ item }: Report): Report => {
  const failure = { type: "defect", requestId: `${item.jobId}/${item.index}` } as const;
  return { type: "outcome", item, events: [], outcome: failure, failure };
};
