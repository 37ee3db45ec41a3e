/** Several tasks as one piece of work: in which order, how many at once, and what becomes of the rest where one fails. */
import { Cause, Effect, Option, Result, Stream } from "effect";

import { type Call, CurrentCall } from "../domain/Call.ts";
import type { ServiceError } from "../domain/errors.ts";
import type { GenerationResult, GenerationTask } from "../domain/generation.ts";
import { addUsage, noUsage, type Usage } from "../domain/usage.ts";
import type { Models } from "../models/Models.ts";
import type { Generations } from "./Generations.ts";

export interface BatchItem {
  /** As the task names it. */
  readonly model: string;
  /** The task, or what is wrong with it, which is this item's failure alone. */
  readonly task: Effect.Effect<GenerationTask, ServiceError>;
}

export interface BatchOptions {
  /** Otherwise one after another. */
  readonly parallel: boolean;
  /** Items of one model, by whichever of its names, are done before those of the next. */
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
  /** Of what succeeded. */
  readonly usage: Usage;
}

interface Services {
  readonly generations: Generations["Service"];
  readonly models: Models["Service"];
}

/** Each item as it is done, then the summary. One that fails, also by a bug, keeps no other from being done. */
export const runBatch = (
  { generations, models }: Services,
  items: ReadonlyArray<BatchItem>,
  { parallel, groupByModel }: BatchOptions,
): Stream.Stream<ItemDone | Summary> =>
  Stream.suspend(() => {
    let summary: Summary = { type: "summary", total: items.length, succeeded: 0, failed: 0, usage: noUsage };
    const runItem = ([index, item]: Indexed): Effect.Effect<ItemDone> =>
      Effect.flatMap(item.task, (task) => Effect.map(generations.run(task), (result) => ({ task, result }))).pipe(
        // How far one item has come says nothing of the call.
        Effect.updateService(CurrentCall, (call): Call => ({ ...call, follow: () => {} })),
        Effect.matchCauseEffect({
          onSuccess: (done) =>
            Effect.sync((): ItemDone => {
              const usage = addUsage(summary.usage, done.result.usage);
              summary = { ...summary, succeeded: summary.succeeded + 1, usage };
              return { type: "item", index, outcome: Result.succeed(done) };
            }),
          onFailure: (cause) => {
            // The caller left, or the service ends: that is not this item's failure, it ends the batch.
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
        // At most 100: how many of them run at once is for the engine's slots and queue to say.
        Stream.mapEffect(Stream.fromIterable(group), runItem, {
          concurrency: parallel ? "unbounded" : 1,
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
