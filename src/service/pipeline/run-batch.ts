/** Runs several tasks as one batch: their order, their concurrency, and what happens to the rest if one fails. */
import { Cause, Clock, Effect, Result, Stream } from "effect";

import { type Call, CurrentCall } from "../domain/Call.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { GenerationResult } from "../domain/generation-result.ts";
import type { GenerationTask } from "../domain/generation-task.ts";
import { addUsage, noUsage, type Usage } from "../domain/usage.ts";
import type { Models } from "../models/Models.ts";
import type { Generations } from "./Generations.ts";

export interface BatchItem {
  /** The model's name as the task gives it. */
  readonly model: string;
  /** The task, or why it is invalid, which fails this item only. */
  readonly task: Effect.Effect<GenerationTask, ServiceError>;
}

export interface BatchOptions {
  /** How many items run at once at most; 1: one after another. */
  readonly atOnce: number;
  /** Whether all items of one model, under any of its names, run before those of the next. */
  readonly groupByModel: boolean;
}

interface ItemDone {
  readonly type: "item";
  readonly index: number;
  /** The id of its model, or the requested name if there is no such model. */
  readonly model: string;
  /** From its start to its end, including the wait for a slot of the engine. */
  readonly processingMs: number;
  readonly outcome: Result.Result<
    { readonly task: GenerationTask; readonly result: GenerationResult },
    Cause.Cause<ServiceError>
  >;
}

interface Summary {
  readonly type: "summary";
  readonly total: number;
  readonly succeeded: number;
  readonly failed: number;
  /** The usage of the items that succeeded. */
  readonly usage: Usage;
  /** From the beginning of the batch to the end of its last item. */
  readonly totalMs: number;
}

interface Services {
  readonly generations: Generations["Service"];
  readonly models: Models["Service"];
}

/** Emits each item when it is done, then the summary. A failure, even a defect, does not stop the other items. */
export const runBatch = (
  { generations, models }: Services,
  items: ReadonlyArray<BatchItem>,
  { atOnce, groupByModel }: BatchOptions,
): Stream.Stream<ItemDone | Summary> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const batch = yield* stopwatch;
      let counts = { succeeded: 0, failed: 0, usage: noUsage };
      const runItem = Effect.fnUntraced(function* ([index, { model: name, task: checked }]: Indexed) {
        const own = yield* stopwatch;
        const model = yield* modelOf(models, name);
        const work = Effect.flatMap(checked, (task) =>
          Effect.map(generations.run(task), (result) => ({ task, result })),
        );
        const outcome = yield* work.pipe(
          // The progress of one item is not the progress of the call.
          Effect.updateService(CurrentCall, (call): Call => ({ ...call, follow: () => {} })),
          Effect.map(Result.succeed),
          // That the caller left, or the service shuts down, ends the batch and is not this item's failure.
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause) ? Effect.interrupt : Effect.succeed(Result.fail(cause)),
          ),
        );
        const { succeeded, failed, usage } = counts;
        counts = Result.isSuccess(outcome)
          ? { succeeded: succeeded + 1, failed, usage: addUsage(usage, outcome.success.result.usage) }
          : { succeeded, failed: failed + 1, usage };
        return { type: "item" as const, index, model: model ?? name, processingMs: own(), outcome };
      });
      const groups = groupByModel ? yield* groupsOf(models, items) : [[...items.entries()]];
      const done = Stream.flatMap(Stream.fromIterable(groups), (group) =>
        // Admission decides how many of those that run at once have a slot of the engine.
        Stream.mapEffect(Stream.fromIterable(group), runItem, {
          concurrency: atOnce,
          unordered: true,
        }),
      );
      const summary = Effect.sync((): Summary => ({
        type: "summary",
        total: items.length,
        ...counts,
        totalMs: batch(),
      }));
      return Stream.concat(done, Stream.fromEffect(summary));
    }),
  );

type Indexed = readonly [index: number, item: BatchItem];

const groupsOf = Effect.fnUntraced(function* (models: Services["models"], items: ReadonlyArray<BatchItem>) {
  const groups = new Map<string, Indexed[]>();
  for (const indexed of items.entries()) {
    const { model: name } = indexed[1];
    const model = yield* modelOf(models, name);
    const key = model === undefined ? `name ${name}` : `model ${model}`;
    groups.set(key, [...(groups.get(key) ?? []), indexed]);
  }
  return [...groups.values()];
});

/** Undefined where no model has the name. */
const modelOf = (models: Services["models"], name: string): Effect.Effect<string | undefined> =>
  models.get(name).pipe(
    Effect.map(({ facts }): string | undefined => facts.id),
    Effect.orElseSucceed(() => undefined),
  );

/** Milliseconds since it was started, by the monotonic clock. */
const stopwatch = Effect.map(Clock.Clock, (clock) => {
  const begun = clock.monotonicTimeNanosUnsafe();
  return () => Number(clock.monotonicTimeNanosUnsafe() - begun) / 1e6;
});
