/** Runs several tasks as one batch: their order, their concurrency, and what happens to the rest if one fails. */
import { Cause, Effect, Option, Result, Stream } from "effect";

import { type Call, CurrentCall } from "../domain/Call.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { GenerationResult, GenerationTask } from "../domain/generation.ts";
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
  /** How many items run at once; Infinity: as many as admission lets. */
  readonly atOnce: number;
  /** Whether all items of one model, under any of its names, run before those of the next. */
  readonly groupByModel: boolean;
}

interface ItemDone {
  readonly type: "item";
  readonly index: number;
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
  Stream.suspend(() => {
    let summary: Summary = { type: "summary", total: items.length, succeeded: 0, failed: 0, usage: noUsage };
    const runItem = ([index, item]: Indexed): Effect.Effect<ItemDone> =>
      Effect.flatMap(item.task, (task) => Effect.map(generations.run(task), (result) => ({ task, result }))).pipe(
        // The progress of one item is not the progress of the call.
        Effect.updateService(CurrentCall, (call): Call => ({ ...call, follow: () => {} })),
        Effect.matchCauseEffect({
          onSuccess: (done) =>
            Effect.sync((): ItemDone => {
              const usage = addUsage(summary.usage, done.result.usage);
              summary = { ...summary, succeeded: summary.succeeded + 1, usage };
              return { type: "item", index, outcome: Result.succeed(done) };
            }),
          onFailure: (cause) => {
            // The caller left, or the service shuts down: that ends the batch and is not this item's failure.
            if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt;
            return Effect.sync((): ItemDone => {
              summary = { ...summary, failed: summary.failed + 1 };
              return { type: "item", index, outcome: Result.fail(cause) };
            });
          },
        }),
      );
    const groups = groupByModel ? groupsOf(models, items) : Effect.succeed([[...items.entries()]]);
    const done = Stream.fromEffect(groups).pipe(
      Stream.flatMap(Stream.fromIterable),
      Stream.flatMap((group) =>
        // There are 100 at most. Admission decides how many of them run at once.
        Stream.mapEffect(Stream.fromIterable(group), runItem, {
          concurrency: atOnce === Infinity ? "unbounded" : atOnce,
          unordered: true,
        }),
      ),
    );
    return Stream.concat(
      done,
      Stream.suspend(() => Stream.succeed(summary)),
    );
  });

type Indexed = readonly [index: number, item: BatchItem];

const groupsOf = Effect.fnUntraced(function* (models: Services["models"], items: ReadonlyArray<BatchItem>) {
  const groups = new Map<string, Indexed[]>();
  for (const indexed of items.entries()) {
    const { model: name } = indexed[1];
    const found = yield* Effect.option(models.get(name));
    const key = Option.match(found, { onSome: ({ facts }) => `model ${facts.id}`, onNone: () => `name ${name}` });
    groups.set(key, [...(groups.get(key) ?? []), indexed]);
  }
  return [...groups.values()];
});
