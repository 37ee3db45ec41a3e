/** Several tasks in one call: each one's result or status as it finishes, then a summary. */
import { create } from "@bufbuild/protobuf";
import { Cause, Effect, Option, Stream } from "effect";

import {
  type BatchGenerateRequest,
  type BatchGenerateResponse,
  BatchGenerateResponseSchema,
  type BatchItem,
  BatchItemSchema,
} from "../../client/gen/mlxd/v1/generation_service_pb.ts";
import { InvalidField, type ServiceError } from "../domain/errors.ts";
import type { GenerationResult, OutputOptions, Usage } from "../domain/generation.ts";
import type { Models } from "../models/Models.ts";
import type { Generations } from "../pipeline/Generations.ts";
import type { Call } from "./Bridge.ts";
import { statusFrom, type WireError, wireErrorFromCause } from "./error-to-wire.ts";
import { resultToWire } from "./generation-to-wire.ts";
import { inOnePiece } from "./in-one-piece.ts";
import { checkedTask } from "./task-from-wire.ts";
import { violationsIn } from "../wire/validate.ts";

interface Services {
  readonly generations: Generations["Service"];
  readonly models: Models["Service"];
}

/** What is wrong with one task is that item's failure; the batch itself was checked before. */
export const batchGenerate = (
  services: Services,
  request: BatchGenerateRequest,
  call: Call,
): Stream.Stream<BatchGenerateResponse, ServiceError> =>
  Stream.suspend(() => {
    const summary = new Summary(request.items.length);
    const results = Stream.fromEffect(groupsOf(services.models, request)).pipe(
      Stream.flatMap(Stream.fromIterable),
      Stream.flatMap((group) =>
        Stream.mapEffect(Stream.fromIterable(group), ([index, item]) => runItem(services, item, index, call, summary), {
          // At most 100: how many of them run at once is for the engine's slots and queue to say.
          concurrency: request.parallel ? "unbounded" : 1,
          unordered: true,
        }),
      ),
    );
    return Stream.concat(
      results,
      Stream.suspend(() => Stream.succeed(summary.toWire())),
    );
  });

type Indexed = readonly [index: number, item: BatchItem];

/** Items that are done before those of the next group: those of one model, by whichever of its names, or else all. */
const groupsOf = Effect.fnUntraced(function* (
  models: Services["models"],
  { items, groupByModel }: BatchGenerateRequest,
) {
  const all: ReadonlyArray<Indexed> = [...items.entries()];
  if (!groupByModel) return [all];
  const groups = new Map<string, Indexed[]>();
  for (const indexed of all) {
    const name = indexed[1].task?.model ?? "";
    const found = yield* Effect.option(models.get(name));
    const key = Option.match(found, { onSome: ({ facts }) => `model ${facts.id}`, onNone: () => `name ${name}` });
    groups.set(key, [...(groups.get(key) ?? []), indexed]);
  }
  return [...groups.values()];
});

const runItem = (
  { generations, models }: Services,
  item: BatchItem,
  index: number,
  call: Call,
  summary: Summary,
): Effect.Effect<BatchGenerateResponse> =>
  Effect.gen(function* () {
    const violations = violationsIn(BatchItemSchema, item);
    if (violations.length > 0) return yield* new InvalidField({ violations });
    const task = yield* inOnePiece(yield* checkedTask(item.task, models));
    const result = yield* generations.run(task, call);
    return { result, output: task.output };
  }).pipe(
    Effect.matchCauseEffect({
      onSuccess: ({ result, output }) => Effect.sync(() => summary.succeeded(item, index, result, output)),
      onFailure: (cause: Cause.Cause<ServiceError>) => {
        // The caller left, or the service ends: that is not this item's failure, it ends the batch.
        if (Cause.hasInterruptsOnly(cause)) return Effect.interrupt;
        const failed = Effect.sync(() => summary.failed(item, index, wireErrorFromCause(cause, call)));
        return Cause.hasDies(cause) ? Effect.andThen(logDefect(cause, call, index), failed) : failed;
      },
    }),
  );

const logDefect = (cause: Cause.Cause<ServiceError>, { requestId }: Call, index: number) =>
  Effect.logError("an item of a batch failed because of a bug", cause).pipe(Effect.annotateLogs({ requestId, index }));

/** Counts while it words the results. */
class Summary {
  readonly #total: number;
  #succeeded = 0;
  #failed = 0;
  #usage: Usage = { promptTokens: 0, cachedPromptTokens: 0, outputTokens: 0 };

  constructor(total: number) {
    this.#total = total;
  }

  succeeded(item: BatchItem, index: number, result: GenerationResult, output: OutputOptions): BatchGenerateResponse {
    const { usage } = result;
    const reasoningTokens = addIfAny(this.#usage.reasoningTokens, usage.reasoningTokens);
    const draftedTokens = addIfAny(this.#usage.draftedTokens, usage.draftedTokens);
    const acceptedDraftTokens = addIfAny(this.#usage.acceptedDraftTokens, usage.acceptedDraftTokens);
    this.#succeeded += 1;
    this.#usage = {
      promptTokens: this.#usage.promptTokens + usage.promptTokens,
      cachedPromptTokens: this.#usage.cachedPromptTokens + usage.cachedPromptTokens,
      outputTokens: this.#usage.outputTokens + usage.outputTokens,
      ...(reasoningTokens !== undefined && { reasoningTokens }),
      ...(draftedTokens !== undefined && { draftedTokens }),
      ...(acceptedDraftTokens !== undefined && { acceptedDraftTokens }),
    };
    const outcome = { case: "result", value: resultToWire(result, output) } as const;
    return itemToWire({ itemId: idOf(item, index), index, outcome });
  }

  failed(item: BatchItem, index: number, error: WireError): BatchGenerateResponse {
    this.#failed += 1;
    return itemToWire({ itemId: idOf(item, index), index, outcome: { case: "error", value: statusFrom(error) } });
  }

  toWire(): BatchGenerateResponse {
    const counts = { total: this.#total, succeeded: this.#succeeded, failed: this.#failed };
    return create(BatchGenerateResponseSchema, {
      event: { case: "summary", value: { ...counts, usage: this.#usage } },
    });
  }
}

/** Absent where neither is there. */
const addIfAny = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined && b === undefined ? undefined : (a ?? 0) + (b ?? 0);

const idOf = ({ itemId }: BatchItem, index: number): string => itemId || String(index);

type ItemInit = Extract<
  NonNullable<Parameters<typeof create<typeof BatchGenerateResponseSchema>>[1]>["event"],
  { case: "item" }
>["value"];

const itemToWire = (value: ItemInit): BatchGenerateResponse =>
  create(BatchGenerateResponseSchema, { event: { case: "item", value } });
