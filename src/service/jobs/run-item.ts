/** Runs one attempt at an item: from its task to the report of its outcome. */
import { Cause, Effect, Queue, Result, Stream } from "effect";

import { type Call, CurrentCall } from "../domain/Call.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { GenerationEvent, GenerationResult } from "../domain/generation-result.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import type { ItemFailure } from "../domain/job.ts";
import { collectResult } from "../pipeline/collect-result.ts";
import type { Generations } from "../pipeline/Generations.ts";
import { decodeTask } from "./asked-items.ts";
import type { Reports } from "./Reports.ts";
import { ResumedGeneration } from "./resume-generation.ts";
import { nextAttempt } from "./retry-policy.ts";
import type { StoreAccess } from "./StoreAccess.ts";
import { toldGeneration } from "./store/told-generation.ts";
import type { GenerationRecord, Report } from "./store/settle-items.ts";
import type { TakenItem } from "./store/take-items.ts";

export interface ItemServices {
  readonly generations: Generations["Service"];
  readonly store: StoreAccess["Service"];
  readonly reports: Reports;
}

/** Completes when the result of the attempt is stored. Interruption ends the generation and stores nothing. */
export const runItem = (services: ItemServices, item: TakenItem): Effect.Effect<void> =>
  Effect.gen(function* () {
    const requestId = `${item.jobId}/${item.index}`;
    const call: Call = { requestId, caller: item.caller, fairnessId: "", isCut: () => false, follow: () => {} };
    const attempt = Effect.gen(function* () {
      // The task was validated when it was submitted, so if it cannot be decoded, another version of the service has
      // written it.
      const stored = yield* Effect.orDie(decodeTask(item.task));
      const task: GenerationTask = { ...stored, scheduling: { ...stored.scheduling, background: true } };
      const done = item.single
        ? yield* runWatched(services, item, task)
        : { events: [], ...(yield* runAlone(services, task)) };
      return { ...done, reported: task.output };
    }).pipe(Effect.provideService(CurrentCall, call));
    const exit = yield* Effect.exit(attempt);
    if (exit._tag === "Success") {
      const { events, result, reported } = exit.value;
      const { tokenIds, timings } = reported;
      const outcome = { type: "result", result, reported: { tokenIds, timings } } as const;
      yield* services.reports.submit({ type: "outcome", item, events, outcome, failure: undefined });
      return;
    }
    if (Cause.hasInterruptsOnly(exit.cause)) return yield* Effect.interrupt;
    if (Cause.hasDies(exit.cause)) {
      yield* Effect.logError("an item of a job failed because of a bug", exit.cause).pipe(
        Effect.annotateLogs({ requestId }),
      );
    }
    yield* services.reports.submit(failureReport(item, failureFrom(exit.cause, requestId)));
  });

const failureFrom = (cause: Cause.Cause<ServiceError>, requestId: string): ItemFailure => {
  const expected = Cause.findError(cause);
  return Result.isSuccess(expected) ? { type: "error", error: expected.success } : { type: "defect", requestId };
};

const failureReport = (item: TakenItem, failure: ItemFailure): Report => {
  const next = nextAttempt(failure, item);
  return next === undefined
    ? { type: "outcome", item, events: [], outcome: failure, failure }
    : { type: "again", item, events: [], failure, ...next };
};

interface Done {
  readonly result: GenerationResult;
}

const runAlone = ({ generations }: ItemServices, task: GenerationTask): Effect.Effect<Done, ServiceError> =>
  Effect.map(generations.run(task), (result) => ({ result }));

/** How often events are stored for watchers. */
const writeEveryMs = 50;

/** Stores events for watchers while the attempt runs. Returns the events that are not stored yet when it ends. */
const runWatched = (
  { generations, store, reports }: ItemServices,
  item: TakenItem,
  task: GenerationTask,
): Effect.Effect<Done & { readonly events: ReadonlyArray<GenerationRecord> }, ServiceError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { recorded, next } = yield* store.use(({ database }) => toldGeneration(database, item.jobId));
      const teller = new Teller(item.attempt, task, recorded, next);
      const said: GenerationEvent[] = [];
      const due = yield* Queue.sliding<void>(1);
      const write = Effect.suspend(() => {
        const events = teller.take();
        return events.length === 0
          ? Effect.void
          : reports.submit({ type: "events", item, events }).pipe(
              // Another host has the item now, so this attempt no longer counts.
              Effect.flatMap((counted) => (counted ? Effect.void : Effect.interrupt)),
            );
      });
      const writing = Queue.take(due).pipe(
        Effect.andThen(write),
        Effect.andThen(Effect.sleep(writeEveryMs)),
        Effect.forever,
      );
      const running = Stream.runForEach(generations.stream(task), (event) =>
        Effect.sync(() => {
          said.push(event);
          teller.tell(event);
          Queue.offerUnsafe(due, undefined);
        }),
      );
      yield* Effect.raceFirst(running, writing);
      return { result: collectResult(said), events: teller.take() };
    }),
  );

/** Converts the events of an attempt to the events that its watchers get. */
class Teller {
  private readonly attempt: number;
  private readonly reported: GenerationTask["output"];
  private readonly generation: ResumedGeneration;
  private number: number;
  private waiting: GenerationRecord[] = [];

  constructor(
    attempt: number,
    { output }: GenerationTask,
    recorded: ConstructorParameters<typeof ResumedGeneration>[0],
    next: number,
  ) {
    this.attempt = attempt;
    this.reported = output;
    this.generation = new ResumedGeneration(recorded);
    this.number = next;
  }

  tell(event: GenerationEvent): void {
    const fresh = this.generation.next(event);
    if (fresh !== undefined) return this.add(fresh);
    this.waiting.push({ type: "restarted", attempt: this.attempt });
    this.number = 0;
    this.add(this.generation.all);
  }

  take(): ReadonlyArray<GenerationRecord> {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }

  private add(events: ReadonlyArray<GenerationEvent>): void {
    const { tokenIds, timings } = this.reported;
    for (const event of events) {
      this.waiting.push({ type: "generation", number: this.number++, event, reported: { tokenIds, timings } });
    }
  }
}
